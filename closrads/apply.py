"""One ad set through its four layers: look, update and re-publish, verify, roll back if need be.

Whatever happens on the way, an ad set that may have been written ends verified, put back, or reported as not proven.
"""

from closrads.errors import AdSetChangedError, MetaError, MetaOutcomeUnknownError
from closrads.facebook_client import (
    Rollback,
    check_ad_health,
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
from closrads.targeting import Targeting, region_keys


def apply_change(api: GraphApi, planned: Decision, wait_seconds: float) -> AdSetResult:
    """Carry out a planned change, if it still is one: the ad set is read again first, for a person may have come.

    Raises
    ------
    MetaError
        The update was not made; nothing has changed.
    """
    adset = refresh(api, planned.adset)
    change = decide(adset, planned.regions, check_ad_health(adset))
    if not change.is_change:
        return change.as_result()
    try:
        written = update_adset_geo(api, adset, change.regions)
    except AdSetChangedError as error:
        return change.as_result(Result.SUPERSEDED, (str(error),))
    except MetaOutcomeUnknownError as error:
        return _roll_back(api, change, None, wait_seconds, (str(error),))
    except MetaError:
        raise
    except Exception as error:  # noqa: BLE001 - whether it was changed is unknown, whatever the defect
        return _roll_back(api, change, None, wait_seconds, (log_defect(error),))
    return _protect(api, change, written, wait_seconds)


def validate_change(api: GraphApi, change: Decision) -> AdSetResult:
    """Have Meta validate a planned change and change nothing.

    Raises
    ------
    MetaError
        With Meta's own verdict.
    """
    validate_adset_geo(api, change.adset, change.regions)
    return change.as_result()


def _protect(api: GraphApi, change: Decision, written: Targeting, wait_seconds: float) -> AdSetResult:
    """Re-publish and verify an ad set that was written, and put it back unless it is well."""
    try:
        failures = republish_ads(api, change.adset)
        findings = verify_ads_after_republish(api, change.adset, wait_seconds)
    except Exception as error:  # noqa: BLE001 - it is changed and must not stay so unverified, whatever the defect
        return _roll_back(api, change, written, wait_seconds, (log_defect(error),))
    reasons = [str(finding) for finding in (*failures, *findings) if finding.health is AdHealth.BROKEN]
    if region_keys(written) != {region["key"] for region in change.regions}:
        reasons.append("Meta made other states of what was written")
    if reasons:
        return _roll_back(api, change, written, wait_seconds, tuple(reasons))
    unreadable = tuple(str(finding) for finding in findings if finding.health is AdHealth.UNREADABLE)
    return change.as_result(Result.UNVERIFIED, unreadable) if unreadable else change.as_result()


def _roll_back(
    api: GraphApi, change: Decision, written: Targeting | None, wait_seconds: float, reasons: tuple[str, ...]
) -> AdSetResult:
    logger.warning("adset.rollback", extra={"adset": change.adset.id, "reasons": reasons})
    try:
        rollback = rollback_geo(api, change.adset, change.regions, written, wait_seconds)
    except Exception as error:  # noqa: BLE001 - nothing may hide that an ad set is not as it was
        rollback = Rollback(Result.ROLLBACK_FAILED, (f"Its rollback did not end: {log_defect(error)}",))
    if rollback.result is Result.ROLLBACK_FAILED:
        logger.critical("adset.rollback_failed", extra={"adset": change.adset.id, "issues": rollback.issues})
    return change.as_result(rollback.result, (*reasons, *rollback.issues))
