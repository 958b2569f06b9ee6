"""One write of an ad set's regions, and what is there afterwards where answers are lost or contradict each other."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.targeting import _build_new_targeting, geo_conflicts, region_keys, with_regions_of
from closrads.errors import (
    AdSetChangedError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaOutcomeUnknownError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import GraphApi
from closrads.state_mapper import Region

FRESH_SECONDS = 5.0
"""Nothing is written on the strength of an older read: a person may have come since."""


@dataclass(frozen=True, slots=True)
class RegionWrite:
    """What is to be written, and on what it may be written."""

    regions: Sequence[Region]
    replaces: Collection[frozenset[str]]
    """The sets of region keys that may be there now; any other is somebody else's."""
    repeats: bool = False
    """Whether to write although the ad set already has these regions: the read may be older than an earlier write."""
    accepts: Callable[[AdSetSnapshot], str] = lambda _: ""
    """Returns why an ad set that was read anew is not to be written, empty if it is."""

    @property
    def wanted(self) -> frozenset[str]:
        """The keys of the regions."""
        return frozenset(str(region["key"]) for region in self.regions)  # Meta may show numbers


def has_targeting(answer: JsonObject) -> bool:
    """Tell whether an answer shows a targeting."""
    return isinstance(answer.get("targeting"), dict)


def write_regions(  # noqa: PLR0913 - what to write, how to read, and what the caller knows of time and of earlier calls
    api: GraphApi,
    adset: AdSetSnapshot,
    write: RegionWrite,
    read: Callable[[AdSetSnapshot], AdSetSnapshot],
    *,
    reserve: float,
    retried: tuple[type[MetaError], ...],
    may_be_sent: bool = False,
) -> AdSetSnapshot:
    """Set an ad set's regions; return it as read right before that write, with the targeting that Meta stores now.

    Only Meta's own error says that a write was not done. After any other answer the ad set is read, and what is there
    decides; it is also read before every further attempt, and where the snapshot is older than `FRESH_SECONDS`.

    Parameters
    ----------
    read
        Reads an ad set with all its ads, once.
    reserve
        Seconds of the invocation that no wait may touch.
    retried
        What is worth another attempt.
    may_be_sent
        Whether an earlier call may have written these regions.

    Raises
    ------
    AdSetChangedError
        The regions that are there are somebody else's; they were left alone.
    MetaOutcomeUnknownError
        The write may have been done, and Meta does not show it.
    MetaError
        The write was not done.
    """
    latest, sent = adset, may_be_sent

    def attempt() -> AdSetSnapshot:
        nonlocal latest, sent
        if sent or (api.clock.now() - latest.read_at).total_seconds() > FRESH_SECONDS:
            latest = read(latest)
            if not sent and (why_not := write.accepts(latest)):
                raise MetaInvalidError(why_not)
        present = region_keys(latest.targeting)
        if present == write.wanted and not write.repeats:
            return latest
        _refuse_what_is_not_ours(latest, write)
        if conflicts := geo_conflicts(latest.targeting, write.wanted):
            raise MetaInvalidError("; ".join(conflicts))
        targeting = _build_new_targeting(latest.targeting, write.regions)
        try:
            answer = api.post(adset.id, {"targeting": targeting, "fields": "id,targeting"})
        except MetaTransientError:
            sent = True
            raise
        sent = True
        if not has_targeting(answer):
            raise MetaLostAnswerError(f"Meta confirms the write to {adset.id} without showing it")
        stored = region_keys(answer["targeting"])
        if stored != write.wanted and stored in write.replaces:
            raise MetaLostAnswerError(f"Meta confirms the write to {adset.id}, but shows the states from before")
        # Of the answer only the regions are taken: it may spell the rest otherwise than a read does.
        return replace(latest, targeting=with_regions_of(latest.targeting, answer["targeting"]))

    try:
        return api.retrying(attempt, reserve=reserve, errors=retried)
    except MetaError as error:
        if not sent:
            raise
        unknown = f"Nobody knows whether the write to {adset.id} was done: {error}"
        try:
            waited_for = (*retried, MetaRateLimitError) if retried else ()
            there = api.retrying(lambda: read(latest), reserve=reserve, errors=waited_for)
        except MetaError as unreadable:
            raise MetaOutcomeUnknownError(f"{unknown}; {unreadable}", error) from None
        if region_keys(there.targeting) == write.wanted:
            return there
        _refuse_what_is_not_ours(there, write)
        raise MetaOutcomeUnknownError(unknown, error) from None


def _refuse_what_is_not_ours(adset: AdSetSnapshot, write: RegionWrite) -> None:
    if region_keys(adset.targeting) not in (*write.replaces, write.wanted):
        raise AdSetChangedError(f"Somebody changed the states of {adset.id} meanwhile: they stay as they are now")
