"""One write of an ad set's targeting, and what became of it where answers are lost or contradict each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from closrads.domain.targeting import Targeting, region_keys, same_but_for_regions, same_targeting
from closrads.errors import (
    AdSetChangedError,
    MetaError,
    MetaLostAnswerError,
    MetaOutcomeUnknownError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import GraphApi

_TARGETING_ONLY = {"fields": "id,targeting"}


def read_targeting(api: GraphApi, adset_id: str) -> Targeting:
    """Read the targeting that an ad set has now, with retries."""
    return _targeting_of(api.get(adset_id, _TARGETING_ONLY, has_targeting))


def has_targeting(answer: JsonObject) -> bool:
    """Tell whether an answer shows a targeting."""
    return isinstance(answer.get("targeting"), dict)


@dataclass(frozen=True, slots=True)
class Written:
    """An ad set's targeting as Meta stores it after our write."""

    targeting: Targeting
    certain: bool
    """Whether all of it is known to come from that write; else a person may have changed other parts of it."""


class _Sent(IntEnum):
    """What is known of a write, the more the higher."""

    NO = 0
    PERHAPS = 1
    """Its answer was lost."""
    CONFIRMED = 2


class TargetingWrite:
    """One write of `after` over `before`.

    Parameters
    ----------
    ours
        What may be overwritten beside `before`, for it is of our own making.
    again
        Whether an earlier object may have written `after`.
    """

    def __init__(  # noqa: PLR0913 - what to write, and what is known of it
        self,
        api: GraphApi,
        adset_id: str,
        *,
        before: Targeting,
        after: JsonObject,
        ours: Sequence[Targeting] = (),
        again: bool = False,
    ) -> None:
        self._api = api
        self._adset_id = adset_id
        self._before = before
        self._after = after
        self._overwritable = (before, *ours)
        self._sent = _Sent.PERHAPS if again else _Sent.NO
        self._first = not again

    def make(self, reserve: float, retried: tuple[type[MetaError], ...]) -> Written:
        """Return what is at Meta afterwards; `retried` errors are waited for, short of the last `reserve` seconds."""
        try:
            return self._api.retrying(self._attempt, reserve=reserve, errors=retried)
        except MetaError as error:
            if self._sent is _Sent.NO:
                raise
            unknown = f"Nobody knows whether the write to {self._adset_id} was done: {error}"
            try:
                waited_for = (*retried, MetaRateLimitError) if retried else ()
                answer = self._api.retrying(self._read, reserve=reserve, errors=waited_for)
            except MetaError as unreadable:
                raise MetaOutcomeUnknownError(f"{unknown}; {unreadable}", error) from None
            if (written := self._look(answer)) is not None:
                return written
            raise MetaOutcomeUnknownError(unknown, error) from None

    def _attempt(self) -> Written:
        if not self._first and (written := self._look(self._read())) is not None:
            return written
        self._first = False
        try:
            answer = self._api.post(self._adset_id, {"targeting": self._after, **_TARGETING_ONLY})
        except MetaTransientError:
            self._sent = max(self._sent, _Sent.PERHAPS)
            raise
        self._sent = _Sent.CONFIRMED
        shown_by_the_write = has_targeting(answer)
        stored = _targeting_of(answer if shown_by_the_write else self._read())
        certain = shown_by_the_write or same_but_for_regions(stored, self._before)
        if region_keys(stored) == region_keys(self._after):
            return Written(stored, certain)
        if self._may_overwrite(stored):
            raise MetaLostAnswerError(f"Meta confirms the write to {self._adset_id}, but shows the old states")
        if certain:
            return Written(stored, certain)  # what Meta made of it: other states than were sent
        raise self._somebody_else()

    def _read(self) -> JsonObject:
        return self._api.get_once(self._adset_id, _TARGETING_ONLY, has_targeting)

    def _look(self, answer: JsonObject) -> Written | None:
        """Return what is there if the write has arrived, None if that does not show."""
        current = _targeting_of(answer)
        differ = region_keys(self._before) != region_keys(self._after)
        can_tell = self._sent is _Sent.CONFIRMED or (self._sent is _Sent.PERHAPS and differ)
        if can_tell and region_keys(current) == region_keys(self._after):
            return Written(current, same_but_for_regions(current, self._before))
        if self._may_overwrite(current):
            return None
        raise self._somebody_else()

    def _may_overwrite(self, current: Targeting) -> bool:
        return any(same_targeting(current, known) for known in self._overwritable)

    def _somebody_else(self) -> AdSetChangedError:
        return AdSetChangedError(f"Somebody changed the targeting of {self._adset_id} meanwhile: it stays as it is now")


def _targeting_of(answer: JsonObject) -> Targeting:
    targeting: Targeting = answer["targeting"]
    return targeting
