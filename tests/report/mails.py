"""Mails of every kind of day, for the tests of how they look; `scripts/mail_pictures.py` takes their pictures."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.plan import _KEEPS_STATES
from closrads.domain.request import Action
from closrads.domain.results import GraphUsage, RunResult
from closrads.domain.sync_report import SyncReport
from closrads.report.render import Report, build_report

NEW_YORK = ZoneInfo("America/New_York")
DAILY = "cron(30 6 * * ? *)"
EARLIER = "20260502T103000Z-4567cdef"
NAMES = ("Broad 30+", "Lookalike - Closed Leads", "Spouses and Family", "Owner Operators", "Refi - Homeowners 35+")
STATES = (
    "AL", "AZ", "CO", "FL", "GA", "ID", "IL", "IN", "KY", "LA", "MI", "MO", "MS", "NC", "NE", "NM", "NV", "NY", "OH",
    "OK", "OR", "PA", "SC", "TN", "TX", "UT", "VA", "WA", "WI", "WV",
)  # fmt: skip
MISSING_FORM = (
    "Ad “Static - Sunrise Rig” (120210000000010137): WITH_ISSUES: Missing lead form: Choose a form. (#3390001)"
)
LONG = "Veterans | Leads | US | 2026 | Q2 | Lookalike 1-3 % | Closed won | No purchasers 180 d | Advantage+ off | v7"


_AS_FOUND = frozenset(
    {
        Result.UNCHANGED, Result.SKIPPED_PREFLIGHT, Result.NEEDS_ATTENTION, Result.HELD, Result.NOT_ACTIVE,
        Result.ENDED, Result.OPTED_OUT,
    }
)  # fmt: skip
"""Of a sync: what tells of no change."""
_NEW, _OLD = ("NE", "NY", "WV"), ("AR", "CA", "KS")
"""States that are wanted today and were not before, and the other way round."""


def adsets(count: int, result: Result, *issues: str, prefix: str = "", start: int = 0) -> tuple[AdSetResult, ...]:
    """Return so many ad sets that ended in this way, each with an id and mostly a name of its own."""
    changed = result not in _AS_FOUND
    is_off = result in _KEEPS_STATES
    return tuple(
        AdSetResult(
            str(120210000000010000 + number),
            f"{prefix}{NAMES[number % len(NAMES)]}{f' {number}' if number >= len(NAMES) else ''}",
            result,
            added=_NEW if changed else (),
            removed=_OLD if changed else (),
            ads=3,
            issues=issues,
            missing=_NEW if is_off else (),
            extra=_OLD if is_off else (),
        )
        for number in range(start, start + count)
    )


def campaign(name: str, results: Iterable[AdSetResult] = (), states: Iterable[str] = STATES) -> SyncReport:
    """Return what a run did with one campaign: ad sets gain no state without demand, and lose none with it."""
    states = tuple(states)
    return SyncReport(
        name.lower(),
        name,
        dry_run=False,
        adsets=tuple(
            replace(
                adset,
                added=tuple(code for code in adset.added if code in states),
                removed=tuple(code for code in adset.removed if code not in states),
                missing=tuple(code for code in adset.missing if code in states),
                extra=tuple(code for code in adset.extra if code not in states),
            )
            for adset in results
        ),
        active_states=states,
        fb_ad_account_id="act_111",
    )


def run(*campaigns: SyncReport, action: Action = Action.SYNC) -> RunResult:
    """Return a whole run."""
    started = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    return RunResult(
        "20260504T103000Z-0123abcd", action, False, started, 8_120, campaigns, graph=GraphUsage(31, 96, 288)
    )


def dry(result: RunResult) -> RunResult:
    """Return the same as a dry run."""
    campaigns = tuple(replace(campaign, dry_run=True) for campaign in result.campaigns)
    return replace(result, dry_run=True, campaigns=campaigns)


def _later(name: str, results: Iterable[AdSetResult]) -> SyncReport:
    """Return what became of the changes of an earlier run; the demand is no matter of it."""
    changes = (replace(adset, added=("NE", "NY", "WV"), removed=("AR", "CA", "KS")) for adset in results)
    return replace(campaign(name, changes), active_states=(), about_run=EARLIER)


UPDATED, UNCHANGED, REVERTED = Result.UPDATED, Result.UNCHANGED, Result.REVERTED
TRUCKERS = campaign("Truckers", adsets(2, UNCHANGED), STATES[3:18])
MORTGAGE = campaign("Mortgage", adsets(3, UPDATED), STATES[::2])
GREEN = run(campaign("Veterans", adsets(3, UPDATED)), TRUCKERS, MORTGAGE)
_RESTORED = "Its targeting was restored and its ads are healthy"
_NO_TIME = "There was too little time left"
_DEAD_TOKEN = (
    "Error validating access token: Session has expired. [Meta 190/463]. Check meta/access_token (or the campaign's "
    "fb_access_token) and that its system user may manage the ad account"
)
_RED = campaign(
    "Veterans",
    adsets(2, UPDATED) + adsets(1, REVERTED, MISSING_FORM, _RESTORED, start=2),
)
_STUCK = adsets(1, Result.ROLLBACK_FAILED, MISSING_FORM, "Its targeting was NOT restored: Meta refuses it", start=1)
_TROUBLES = (Result.FAILED, Result.SKIPPED_PREFLIGHT, REVERTED, Result.NEEDS_ATTENTION, Result.DEFERRED)


def _drifted(results: Iterable[AdSetResult], by: str) -> tuple[AdSetResult, ...]:
    """Return ad sets whose states somebody else had changed before the run."""
    at = datetime(2026, 5, 3, 18, 2, tzinfo=UTC) if by else None
    return tuple(replace(adset, drift=Drift(("TX",), ("NY", "OH"), by, at)) for adset in results)


def _of_500(*results: Result) -> RunResult:
    """Return a run with 500 ad sets in 3 campaigns, each with one of the results in turn."""
    issue = (MISSING_FORM,) if UPDATED not in results else ()
    return run(
        *(
            campaign(
                name,
                (
                    adset
                    for number in range(count)
                    for adset in adsets(1, results[number % len(results)], *issue, prefix=f"{name} ", start=number)
                ),
            )
            for name, count in (("Veterans", 167), ("Truckers", 167), ("Mortgage", 166))
        )
    )


def _of_300(changed: int) -> RunResult:
    """Return a run with 300 campaigns of 10 ad sets; so many of the campaigns have changes, one has trouble."""
    return run(
        *(
            campaign(f"Campaign {number:03d}", adsets(10, UPDATED if number < changed else UNCHANGED))
            for number in range(299)
        ),
        campaign("Campaign 299", adsets(9, UNCHANGED) + adsets(1, Result.SKIPPED_PREFLIGHT, MISSING_FORM)),
    )


RESULTS = {
    "green": GREEN,
    "nothing to change": run(campaign("Veterans", adsets(3, UNCHANGED)), TRUCKERS),
    "orange": run(
        campaign("Veterans", adsets(3, UPDATED)),
        replace(
            campaign("Truckers", adsets(1, UPDATED) + adsets(1, Result.SKIPPED_PREFLIGHT, MISSING_FORM, start=3)),
            unmapped_states=("GU", "PR"),
        ),
        campaign("Mortgage", adsets(1, Result.NEEDS_ATTENTION, "It targets the whole country: take that out first")),
    ),
    "red": run(_RED, TRUCKERS, MORTGAGE),
    "rollback failed": run(campaign("Veterans", adsets(1, UPDATED) + _STUCK), TRUCKERS, MORTGAGE),
    "dry run": dry(replace(GREEN, force=frozenset({"max_removed_pct"}))),
    "failed campaign": run(
        replace(
            campaign("Truckers", states=()),
            campaign_errors=("CLOSRTECH has no demand in any state for VND_TRUCKER_LEADS: a fault of its feed",),
        ),
        MORTGAGE,
    ),
    "dead token": run(
        *(
            replace(campaign(name), adsets=(), campaign_errors=(f"Meta refuses {number}/adsets: {_DEAD_TOKEN}",))
            for number, name in ((120210000000000001, "Mortgage"), (120210000000000002, "Truckers"))
        )
    ),
    "deferred": run(
        campaign("Veterans", adsets(2, UPDATED) + adsets(9, Result.DEFERRED, _NO_TIME, start=2)),
        replace(campaign("Truckers", states=()), left_to="20260504T102900Z-89ab0123"),
    ),
    "states that wait": run(
        replace(
            campaign("Veterans", adsets(3, UNCHANGED)),
            waiting=tuple(
                WaitingState(state, state in STATES, date(2026, 5, since), date(2026, 5, 6))
                for state, since in (("AL", 3), ("NE", 4), ("NY", 4), ("WV", 4))
            ),
            below_min_demand=("AR", "CA"),
        ),
        replace(TRUCKERS, counts_anew=True),
    ),
    "drift": run(
        campaign("Veterans", _drifted(adsets(3, UPDATED), "Jane Example")),
        campaign("Truckers", _drifted(adsets(1, UPDATED), "") + adsets(1, UPDATED, start=1), STATES[3:18]),
        campaign("Mortgage", _drifted(adsets(1, Result.SUPERSEDED), "Jane Example")),
    ),
    "earlier run": run(
        replace(
            campaign("Veterans", adsets(2, UPDATED)),
            recovered=(
                Recovery(EARLIER, "120210000000010001", NAMES[1], ChangeState.PREPARED, ChangeState.VERIFIED),
                Recovery(
                    EARLIER, "120210000000010002", NAMES[2], ChangeState.WRITTEN, ChangeState.WRITTEN, (_NO_TIME,)
                ),
            ),
        )
    ),
    "undo": run(_later("Veterans", adsets(3, UPDATED)), action=Action.UNDO),
    "recheck": run(
        _later("Veterans", adsets(1, REVERTED, MISSING_FORM, _RESTORED) + adsets(2, UNCHANGED, start=1)),
        action=Action.RECHECK,
    ),
    "500 ad sets changed": _of_500(UPDATED),
    "500 ad sets in trouble": _of_500(*_TROUBLES),
    "300 campaigns quiet": _of_300(4),
    "300 campaigns changed": _of_300(299),
    "long names": run(
        campaign(
            LONG,
            adsets(2, UPDATED, prefix=LONG)
            + adsets(1, REVERTED, f"Ad “{LONG}” (9): {'x' * 400}", prefix="W" * 180)
            + adsets(1, Result.FAILED, "https://example.test/" + "path/" * 60, prefix=LONG.replace(" ", "_")),
        )
    ),
    "hostile names": run(
        campaign(
            "</td></table><script>alert(1)</script>",
            adsets(2, UPDATED, prefix="\u202egpj.exe {{ 7*7 }} \u202e\u05d0\u05d1\u05d2 "),
        ),
        campaign("👨‍👩‍👧 🇺🇸 “'\"&", adsets(1, Result.FAILED, "<b>bold</b> & <!-- -->", prefix="<img src=x onerror=1>")),
    ),
}


@cache
def mails() -> dict[str, Report]:
    """Return the mail of each day, by its name."""
    return {name: build_report(result, NEW_YORK, DAILY) for name, result in RESULTS.items()}
