"""Meta's own changes of ads after an edit (Marketing API "Post-Processing for Ad Creation and Edits").

After a targeting write, Meta validates every ad of the ad set that is switched on. Until a re-publish confirms the link
between the ad and its lead form, the link is pending, and it may break. An ad that is off does not break.
"""

from collections.abc import Set as AbstractSet

from sandbox.meta.activity_log import META
from sandbox.meta.breakage import MISSING_LEAD_FORM, SOFT_WARNING, Cure, Damage, Effect
from sandbox.meta.model import Ad
from sandbox.meta.recording import record_status
from sandbox.meta.targeting import region_keys

_ISSUES = {
    Effect.WITH_ISSUES: MISSING_LEAD_FORM,
    Effect.PAUSED_WITH_ISSUES: MISSING_LEAD_FORM,
    Effect.SOFT_ERROR: SOFT_WARNING,
}
_PAUSES = frozenset({Effect.PAUSED, Effect.PAUSED_WITH_ISSUES})
_HARMLESS = frozenset({Effect.PENDING_REVIEW, Effect.SOFT_ERROR})
_RUNNING = frozenset({"ACTIVE", "PENDING_REVIEW", "IN_PROCESS", "PREAPPROVED"})


# --- what others do


def targeting_written(ad: Ad, before: AbstractSet[str], after: AbstractSet[str], now: float) -> None:
    """Handle a targeting write: make an active ad's link pending, or note that it reverts the write that did."""
    if ad.damage is not None:
        ad.damage.rolled_back = after == ad.damage.before
        if ad.damage.rolled_back and ad.damage.breakage.cure is Cure.ROLLBACK:
            _mend(ad, now)
    elif ad.status == "ACTIVE":
        _make_pending(ad, before, now)


def _make_pending(ad: Ad, before: AbstractSet[str], now: float) -> None:
    default = ad.account.default_breakage
    breakage = ad.breakage or (default(ad) if default is not None else None)
    if breakage is not None:
        ad.damage = Damage(breakage, before, now)


def republished(ad: Ad, now: float) -> None:
    """Handle a re-publish, which may repair the ad."""
    damage = ad.damage
    if damage is None:
        return
    in_time = damage.breakage.cure is Cure.REPUBLISH and not damage.broken
    taken_back = damage.breakage.cure in {Cure.REPUBLISH, Cure.ROLLBACK_AND_REPUBLISH} and damage.rolled_back
    if in_time or taken_back or damage.breakage.cure is Cure.REPUBLISH_AT_ANY_TIME:
        _mend(ad, now)


def switched_on(ad: Ad, now: float) -> None:
    """Handle an activation in Ads Manager, which does not confirm a link: the delay starts again.

    While other ads of the ad set are being validated, the ad's own link is pending, too.
    """
    if ad.damage is not None:
        ad.damage.at, ad.damage.reads = now, 0
    elif any(_is_pending(other) for other in ad.adset.ads):
        _make_pending(ad, region_keys(ad.adset.targeting), now)


def _is_pending(ad: Ad) -> bool:
    return not link_is_confirmed(ad) and ad.damage is not None and not ad.damage.broken


def switched_off(ad: Ad) -> None:
    """Handle a pause by a person, who owns it from then on, even if Meta had paused the ad before."""
    if ad.damage is not None:
        ad.damage.paused = False


def repaired(ad: Ad) -> None:
    """Handle a new selection of the lead form."""
    ad.damage = None
    ad.issues = [issue for issue in ad.issues if issue != MISSING_LEAD_FORM]


# --- what Meta does in its own time


def looked_at(ad: Ad, now: float) -> None:
    """Apply what is due before the ad is read, and count the read."""
    settle(ad, now)
    if ad.damage is not None:
        ad.damage.reads += 1


def time_passed(ad: Ad, now: float) -> None:
    """Apply what depends on time, but not what depends on reads."""
    if ad.damage is not None and (ad.damage.breakage.seconds or ad.damage.broken):
        settle(ad, now)


def settle(ad: Ad, now: float) -> None:
    """Break or repair the ad as is due at this time."""
    damage = ad.damage
    if damage is None or now < damage.breaks_at:
        return
    if now >= damage.breaks_at + damage.breakage.lasts:
        _mend(ad, now)
    elif ad.status == "ACTIVE" and (damage.broken or damage.reads >= damage.breakage.reads):
        # What depends on reads happens at the last of them; all else happened at its due time, observed or not.
        _break(ad, damage, now if damage.breakage.reads else max(damage.breaks_at, ad.updated_time))


def _break(ad: Ad, damage: Damage, at: float) -> None:
    effect = damage.breakage.effect
    issue = _ISSUES.get(effect)
    if issue is not None and issue not in ad.issues:
        ad.issues = [*ad.issues, dict(issue)]
    if effect in _PAUSES:
        record_status(ad, ad.status, "PAUSED", META, at)
        ad.status, damage.paused = "PAUSED", True
    if effect is Effect.PENDING_REVIEW and not damage.broken:
        record_status(ad, "ACTIVE", "PENDING_REVIEW", META, at)
        ad.overruled = "PENDING_REVIEW"
    if damage.breakage.moves_updated_time and not damage.broken:
        ad.updated_time = at
    damage.broken = True


def _mend(ad: Ad, now: float) -> None:
    damage, ad.damage = ad.damage, None
    if damage is None:
        return
    if damage.breakage.recurs:
        ad.damage = Damage(damage.breakage, damage.before, now, rolled_back=damage.rolled_back)
    if not damage.broken:
        return
    ad.issues = [issue for issue in ad.issues if issue != _ISSUES.get(damage.breakage.effect)]
    if damage.paused and ad.status == "PAUSED":
        record_status(ad, "PAUSED", "ACTIVE", META, now)
        ad.status = "ACTIVE"
    if damage.breakage.effect is Effect.PENDING_REVIEW:
        record_status(ad, "PENDING_REVIEW", ad.status, META, now)
        ad.overruled = None


# --- the truth


def link_is_confirmed(ad: Ad) -> bool:
    """Return whether the link to the lead form is permanent."""
    return ad.damage is None or ad.damage.breakage.effect in _HARMLESS


def is_truly_healthy(ad: Ad) -> bool:
    """Return whether the ad runs or is in review, and stays so as long as nobody changes anything."""
    return ad.effective_status in _RUNNING and link_is_confirmed(ad)
