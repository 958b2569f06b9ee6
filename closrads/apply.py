"""One ad set through its four layers: look, update and re-publish, verify, roll back if need be.

Whatever happens on the way, an ad set that may have been written ends verified, put back, or reported as not proven.
"""

from dataclasses import dataclass, replace

from closrads.errors import AdSetChangedError, MetaError, MetaOutcomeUnknownError, MetaRateLimitError
from closrads.facebook_client import (
    APPLY_RESERVE_SECONDS,
    Rollback,
    Written,
    check_ad_health,
    gravest,
    refresh,
    republish_ads,
    rollback_geo,
    update_adset_geo,
    validate_adset_geo,
    verify_ads_after_republish,
)
from closrads.graph_api import GraphApi
from closrads.model import AdHealth, AdSetResult, Result
from closrads.observability import log_defect, logger
from closrads.plan import Decision, decide
from closrads.targeting import region_keys

TOO_LITTLE_TIME = "Too little time was left to update it safely"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ad set, and what Meta refused on the way: the rest of its campaign may have to stop for it."""

    result: AdSetResult
    trouble: MetaError | None = None


def seconds_needed(wait_seconds: float) -> float:
    """Return what one ad set may need of the invocation, its rollback and the mail included."""
    return APPLY_RESERVE_SECONDS + 2 * wait_seconds


def apply_change(api: GraphApi, planned: Decision, wait_seconds: float) -> Outcome:
    """Carry out a planned change, if it still is one.

    The ad set is read again first, for a person may have come; after a wait for quota, once more.
    """
    reserve = seconds_needed(wait_seconds)
    try:
        return api.retrying(
            lambda: _look_and_write(api, planned, wait_seconds), reserve=reserve, errors=(MetaRateLimitError,)
        )
    except MetaError as error:
        return _not_done(planned, error)
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops this ad set only
        return Outcome(planned.as_result(Result.FAILED, (log_defect(error),)))


def _look_and_write(api: GraphApi, planned: Decision, wait_seconds: float) -> Outcome:
    """Raise a MetaError only if nothing was written."""
    adset = refresh(api, planned.adset)
    change = decide(adset, planned.regions, check_ad_health(adset))
    if not change.is_change:
        return Outcome(change.as_result())
    if api.clock.remaining() < seconds_needed(wait_seconds):
        return Outcome(change.as_result(Result.DEFERRED, (TOO_LITTLE_TIME,)))
    return _Attempt(api, change, wait_seconds).write()


def validate_change(api: GraphApi, change: Decision) -> Outcome:
    """Have Meta validate a planned change and change nothing."""
    try:
        validate_adset_geo(api, change.adset, change.regions)
    except MetaError as error:
        return _not_done(change, error)
    return Outcome(change.as_result())


def _not_done(change: Decision, error: MetaError) -> Outcome:
    result = Result.DEFERRED if isinstance(error, MetaRateLimitError) else Result.FAILED
    return Outcome(change.as_result(result, (str(error),)), error)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One change on its way through the layers."""

    api: GraphApi
    change: Decision
    wait_seconds: float

    def write(self) -> Outcome:
        """Update the ad set, and see it through."""
        change, reserve = self.change, seconds_needed(self.wait_seconds)
        try:
            written = update_adset_geo(self.api, change.adset, change.regions, reserve=reserve)
        except AdSetChangedError as error:
            return self._leave_to_somebody_else(str(error))
        except MetaOutcomeUnknownError as error:
            return self._roll_back(None, (str(error),), error.trouble)
        except MetaError:
            raise
        except Exception as error:  # noqa: BLE001 - whether it was changed is unknown, whatever the defect
            return self._roll_back(None, (log_defect(error),))
        return self._protect(written)

    def _leave_to_somebody_else(self, reason: str) -> Outcome:
        """Keep hands off the targeting; our write may have been there in between, so protect the ads that still run."""
        adset = self.change.adset
        try:
            running = {ad.id for ad in refresh(self.api, adset).active_ads}
            adset = replace(adset, ads=tuple(ad for ad in adset.active_ads if ad.id in running))
            failures = republish_ads(self.api, adset)
            findings = verify_ads_after_republish(self.api, adset, self.wait_seconds)
        except Exception as error:  # noqa: BLE001 - what happened to the targeting is to be told in any case
            issue = str(error) if isinstance(error, MetaError) else log_defect(error)
            return Outcome(
                self.change.as_result(Result.SUPERSEDED, (reason, f"Its ads were not re-published: {issue}"))
            )
        bad = [*failures, *(finding for finding in findings if finding.health is AdHealth.BROKEN)]
        trouble = gravest([failure.error for failure in failures])
        return Outcome(self.change.as_result(Result.SUPERSEDED, (reason, *map(str, bad))), trouble)

    def _protect(self, written: Written) -> Outcome:
        """Re-publish and verify, and put the ad set back unless it is well."""
        change = self.change
        try:
            reserve = seconds_needed(self.wait_seconds)
            failures = republish_ads(self.api, change.adset, reserve=reserve)
            reserve -= self.wait_seconds
            findings = verify_ads_after_republish(self.api, change.adset, self.wait_seconds, reserve=reserve)
        except Exception as error:  # noqa: BLE001 - it is changed and must not stay so unverified, whatever the defect
            return self._roll_back(written, (log_defect(error),))
        reasons = [str(failure) for failure in failures]
        reasons += [str(finding) for finding in findings if finding.health is AdHealth.BROKEN]
        if region_keys(written.targeting) != {region["key"] for region in change.regions}:
            reasons.append("Meta made other states of what was written")
        if reasons:
            return self._roll_back(written, tuple(reasons), gravest([failure.error for failure in failures]))
        unreadable = tuple(str(finding) for finding in findings if finding.health is AdHealth.UNREADABLE)
        return Outcome(change.as_result(Result.UNVERIFIED, unreadable) if unreadable else change.as_result())

    def _roll_back(
        self, written: Written | None, reasons: tuple[str, ...], trouble: MetaError | None = None
    ) -> Outcome:
        change = self.change
        logger.warning("adset.rollback", extra={"adset": change.adset.id, "reasons": reasons})
        try:
            rollback = rollback_geo(self.api, change.adset, change.regions, written, self.wait_seconds)
        except Exception as error:  # noqa: BLE001 - nothing may hide that an ad set is not as it was
            rollback = Rollback(Result.ROLLBACK_FAILED, (f"Its rollback did not end: {log_defect(error)}",))
        if rollback.result is Result.ROLLBACK_FAILED:
            logger.critical("adset.rollback_failed", extra={"adset": change.adset.id, "issues": rollback.issues})
        issues = tuple(dict.fromkeys((*reasons, *rollback.issues)))
        troubles = [error for error in (trouble, rollback.trouble) if error is not None]
        return Outcome(change.as_result(rollback.result, issues), gravest(troubles))
