"""One write of an ad set's regions, including the read-back after a lost or contradictory response."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.health import remembering
from closrads.domain.targeting import (
    _build_new_targeting,
    geo_conflicts,
    region_keys,
    unreadable_locations,
    with_regions_of,
)
from closrads.errors import (
    AdSetChangedError,
    MetaError,
    MetaLostAnswerError,
    MetaObjectError,
    MetaOutcomeUnknownError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import GraphApi
from closrads.state_mapper import Region

FRESH_SECONDS = 5.0
"""Maximum age of the read on which a write is based: a person may have changed the ad set since."""


@dataclass(frozen=True, slots=True)
class RegionWrite:
    """The regions to write, and the preconditions of the write."""

    regions: Sequence[Region]
    replaces: Collection[frozenset[str]]
    """The sets of region keys that may be replaced; any other was set by somebody else."""
    repeats: bool = False
    """Whether to write even if the ad set already has these regions: the read may predate an earlier write."""
    is_rollback: bool = False
    """Whether to leave it to Meta whether the regions conflict with other locations, which a person may have added."""
    accepts: Callable[[AdSetSnapshot], str] = lambda _: ""
    """Returns why an ad set that was read again must not be written; empty if it may be."""

    @property
    def wanted(self) -> frozenset[str]:
        """The keys of the regions to write."""
        return frozenset(str(region["key"]) for region in self.regions)  # Meta may return numbers


def has_targeting(answer: JsonObject) -> bool:
    """Return whether a response contains a targeting."""
    return isinstance(answer.get("targeting"), dict)


class TargetingWriter:
    """One write of an ad set's regions, with its retries.

    Only Meta's own error object means that a write had no effect. After any other response the ad set is read back, and
    its regions decide. It is also read before every retry, and if the snapshot is older than `FRESH_SECONDS`.

    Parameters
    ----------
    read
        Reads an ad set with all its ads, without retries.
    may_be_sent
        Whether an earlier attempt may have written these regions.
    """

    def __init__(
        self,
        api: GraphApi,
        adset: AdSetSnapshot,
        write: RegionWrite,
        read: Callable[[AdSetSnapshot], AdSetSnapshot],
        *,
        may_be_sent: bool = False,
    ) -> None:
        self._api = api
        self._latest = adset
        self._write = write
        self._read = read
        self._sent = may_be_sent
        self._confirmed = False

    def run(self, reserve: float, retried: tuple[type[MetaError], ...]) -> AdSetSnapshot:
        """Set the regions; return the ad set as read right before the write, with the regions that Meta now stores.

        Parameters
        ----------
        reserve
            Last seconds of the invocation, which waits and an unanswered write must spare.
        retried
            Exceptions that are retried.

        Raises
        ------
        AdSetChangedError
            Somebody else has set the current regions; they were left alone.
        MetaOutcomeUnknownError
            The write may have taken effect, but reading back does not show it.
        MetaError
            The write had no effect.
        """
        try:
            return self._api.retrying(lambda: self._attempt(reserve), reserve=reserve, errors=retried)
        except MetaError as error:
            if not self._sent:
                raise
            return self._read_back(error, reserve, (*retried, MetaRateLimitError) if retried else ())

    def _attempt(self, reserve: float) -> AdSetSnapshot:
        with self._api.quota.writes:
            return self._attempt_now(reserve)

    def _attempt_now(self, reserve: float) -> AdSetSnapshot:
        self._refresh()
        latest, write = self._latest, self._write
        present = region_keys(latest.targeting)
        if present == write.wanted and (self._confirmed or not write.repeats):
            return latest
        self._refuse_foreign_regions()
        conflicts = geo_conflicts(latest.targeting, write.wanted)
        if why_not := unreadable_locations(latest.targeting) if write.is_rollback else conflicts:
            raise MetaObjectError("; ".join(why_not))
        try:
            answer = self._send(_build_new_targeting(latest.targeting, write.regions), reserve)
        except MetaObjectError as error:
            if not conflicts:
                raise
            raise MetaObjectError("; ".join((*conflicts, str(error)))) from None
        if not has_targeting(answer):
            return self._read_confirmed()
        stored = region_keys(answer["targeting"])
        if stored != write.wanted and stored in write.replaces:
            raise MetaLostAnswerError(f"Meta confirms the write to {latest.id}, but shows the states from before")
        # Only the regions are taken from the response: the rest may have another form than in a read.
        return replace(latest, targeting=with_regions_of(latest.targeting, answer["targeting"]))

    def _read_confirmed(self) -> AdSetSnapshot:
        """Read back a write that Meta has confirmed without showing it: at once, for the ads wait for a re-publish."""
        self._confirmed = True
        self._look_again()
        if region_keys(self._latest.targeting) != self._write.wanted:
            raise MetaLostAnswerError(f"Meta confirms the write to {self._latest.id} without showing it")
        return self._latest

    def _look_again(self) -> None:
        """Read the ad set; an ad that this read shows off may have run at the one before."""
        self._latest = remembering(self._read(self._latest), self._latest)

    def _refresh(self) -> None:
        """Read the ad set again before a retry, or if the snapshot is too old."""
        age = (self._api.clock.now() - self._latest.read_at).total_seconds()
        if self._sent or age > FRESH_SECONDS:
            self._look_again()
            if not self._sent and (why_not := self._write.accepts(self._latest)):
                raise MetaObjectError(why_not)

    def _send(self, targeting: JsonObject, reserve: float) -> JsonObject:
        params = {"targeting": targeting, "fields": "id,targeting"}
        try:
            answer = self._api.post(self._latest.id, params, call_reserve=reserve)
        except MetaTransientError:
            self._sent = True
            raise
        self._sent = True
        return answer

    def _read_back(self, error: MetaError, reserve: float, retried: tuple[type[MetaError], ...]) -> AdSetSnapshot:
        """Read back a write whose outcome is unknown."""
        unknown = f"Nobody knows whether the write to {self._latest.id} was done: {error}"
        try:
            self._api.retrying(self._look_again, reserve=reserve, errors=retried)
        except MetaError as unreadable:
            raise MetaOutcomeUnknownError(f"{unknown}; {unreadable}", error) from None
        if region_keys(self._latest.targeting) == self._write.wanted:
            return self._latest
        self._refuse_foreign_regions()
        raise MetaOutcomeUnknownError(unknown, error) from None

    def _refuse_foreign_regions(self) -> None:
        if region_keys(self._latest.targeting) not in (*self._write.replaces, self._write.wanted):
            raise AdSetChangedError(
                f"Somebody changed the states of {self._latest.id} meanwhile: they stay as they are now"
            )
