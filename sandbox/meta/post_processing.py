"""What Meta does to ads on its own after an edit (Marketing API "Post-Processing for Ad Creation and Edits")."""

from collections.abc import Set as AbstractSet

from sandbox.meta.activity_log import META
from sandbox.meta.breakage import MISSING_LEAD_FORM, SOFT_WARNING, Cure, Damage, Effect
from sandbox.meta.model import Ad
from sandbox.meta.recording import record_status


def targeting_written(ad: Ad, before: AbstractSet[str], after: AbstractSet[str], now: float) -> None:
    """Mark the ad, or see that the marking write was taken back."""
    if ad.damage is not None:
        ad.damage.rolled_back = after == ad.damage.before
        if ad.damage.rolled_back and ad.damage.breakage.cure is Cure.ROLLBACK:
            _mend(ad, now)
    elif ad.breakage is not None and not (ad.breakage.effect is Effect.PAUSED and ad.status == "PAUSED"):
        ad.damage = Damage(ad.breakage, before, now)


def republished(ad: Ad, now: float) -> None:
    """Mend the ad if a re-publish is what it takes."""
    time_passed(ad, now)
    if ad.damage is None:
        return
    in_time = ad.damage.breakage.cure is Cure.REPUBLISH and not ad.damage.broken
    taken_back = ad.damage.breakage.cure in {Cure.REPUBLISH, Cure.ROLLBACK_AND_REPUBLISH} and ad.damage.rolled_back
    if in_time or taken_back:
        _mend(ad, now)


def looked_at(ad: Ad, now: float) -> None:
    """Let what is due happen before the ad is read, and count the read."""
    settle(ad, now)
    if ad.damage is not None:
        ad.damage.reads += 1


def time_passed(ad: Ad, now: float) -> None:
    """Let happen what depends on the clock, and leave alone what waits for a look."""
    if ad.damage is not None and (ad.damage.breakage.seconds or ad.damage.broken):
        settle(ad, now)


def settle(ad: Ad, now: float) -> None:
    """Break or mend the ad as is due at this time."""
    damage = ad.damage
    if damage is None:
        return
    if now >= damage.breaks_at + damage.breakage.lasts:
        _mend(ad, now)
    elif damage.broken or (now >= damage.breaks_at and damage.reads >= damage.breakage.reads):
        # What waits for reads happens at the last of them; all else happened when it was due, seen or not.
        at = now if damage.breakage.reads or damage.broken else max(damage.breaks_at, ad.updated_time)
        if not damage.broken and damage.breakage.effect is Effect.PAUSED:
            ad.updated_time = at
        damage.broken = True
        _break(ad, damage.breakage.effect, at)


def _break(ad: Ad, effect: Effect, now: float) -> None:
    match effect:
        case Effect.WITH_ISSUES if MISSING_LEAD_FORM not in ad.issues:
            ad.issues.append(dict(MISSING_LEAD_FORM))
        case Effect.SOFT_ERROR if SOFT_WARNING not in ad.issues:
            ad.issues.append(dict(SOFT_WARNING))
        case Effect.PAUSED if ad.status != "PAUSED":
            record_status(ad, ad.status, "PAUSED", META, now)
            ad.status = "PAUSED"
        case Effect.PENDING_REVIEW if ad.overruled is None:
            record_status(ad, "ACTIVE", "PENDING_REVIEW", META, now)
            ad.overruled = "PENDING_REVIEW"


def _mend(ad: Ad, now: float) -> None:
    damage, ad.damage = ad.damage, None
    if damage is None or not damage.broken:
        return
    match damage.breakage.effect:
        case Effect.WITH_ISSUES:
            ad.issues.remove(MISSING_LEAD_FORM)
        case Effect.SOFT_ERROR:
            ad.issues.remove(SOFT_WARNING)
        case Effect.PAUSED if ad.status == "PAUSED":
            record_status(ad, "PAUSED", "ACTIVE", META, now)
            ad.status = "ACTIVE"
        case Effect.PENDING_REVIEW:
            record_status(ad, "PENDING_REVIEW", "ACTIVE", META, now)
            ad.overruled = None
