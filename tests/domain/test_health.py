"""How ads do, and whose a pause is: pure, so tables and properties."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adsets import LONG_AGO, Ad, AdFinding, AdHealth, AdIssue, AdSetSnapshot
from closrads.domain.changes import UnexplainedPause
from closrads.domain.health import (
    CLOCK_TOLERANCE,
    Actor,
    StatusChange,
    broke_while_off,
    check_ad_health,
    compare_ads,
    explained_as_metas,
    is_in_process,
    pauses_to_explain,
    remembering,
    responsible_for,
    still_unexplained,
    switched_off_by_meta,
    unpaid_ads,
    who_paused,
)
from tests.world import START, ids

SINCE = START
NOW = START + timedelta(hours=1)
"""When the change began."""
LOST_FORM = AdIssue(3390001, "Missing lead form", "Choose a form for this ad. (#3390001)", "HARD_ERROR")
HARD = AdIssue(2446289, "Post not available", "Post not available", "HARD_ERROR")
SOFT = AdIssue(2460003, "Audience may be too narrow", "The ad keeps running.", "SOFT_ERROR")
UNTYPED = AdIssue(2446289, "Post not available", "", None)
RAN = Ad("11", "Spring", "ACTIVE", "ACTIVE")
ON, OFF = True, False

statuses = st.sampled_from(["ACTIVE", "PAUSED", "ARCHIVED", "DELETED"])
effective_statuses = st.sampled_from(
    [
        *("ACTIVE", "PAUSED", "ADSET_PAUSED", "CAMPAIGN_PAUSED", "ARCHIVED", "DELETED", "WITH_ISSUES", "DISAPPROVED"),
        *("PENDING_REVIEW", "IN_PROCESS", "PREAPPROVED", "PENDING_BILLING_INFO", "BRAND_NEW"),
    ]
)
issues = st.lists(st.sampled_from([LOST_FORM, HARD, SOFT, UNTYPED]), max_size=2).map(tuple)
ads_now = st.builds(Ad, st.sampled_from(["11", "12", "13"]), st.just("Spring"), statuses, effective_statuses, issues)
ads_before = st.sets(st.sampled_from(["11", "12", "13"])).map(
    lambda found: [Ad(ad_id, "Spring", "ACTIVE", "ACTIVE") for ad_id in sorted(found)]
)
rows = st.builds(
    StatusChange,
    st.sampled_from(["11", "12", "99"]),
    st.timedeltas(timedelta(hours=-2), timedelta(hours=2)).map(lambda age: SINCE + age),
    st.booleans(),
    st.sampled_from(Actor),
)
logs = st.lists(rows, max_size=5)


def paused(*found: AdIssue, effective_status: str = "PAUSED") -> Ad:
    """Return the ad that ran, switched off."""
    return replace(RAN, status="PAUSED", effective_status=effective_status, issues=found)


def row(actor: Actor, seconds: float = 30, *, ends_pause: bool = OFF, ad_id: str = RAN.id) -> StatusChange:
    """Return a row of the activity log, so many seconds after the change began."""
    return StatusChange(ad_id, SINCE + timedelta(seconds=seconds), ends_pause, actor)


def health_of(now: Sequence[Ad], log: Iterable[StatusChange] = ()) -> list[AdHealth]:
    """Return how the ads do after a change before which only one ran."""
    return [finding.health for finding in compare_ads([RAN], now, log, SINCE)]


class TestWhoPaused:
    """What the activity log tells of a pause."""

    @pytest.mark.parametrize(
        ("log", "actor"),
        [
            pytest.param([], None, id="nothing"),
            pytest.param([row(Actor.ADVERTISER)], Actor.ADVERTISER, id="a person"),
            pytest.param([row(Actor.META)], Actor.META, id="Meta"),
            pytest.param([row(Actor.UNKNOWN)], Actor.UNKNOWN, id="somebody without a name"),
            pytest.param([row(Actor.ADVERTISER, ad_id="12")], None, id="another ad"),
            pytest.param([row(Actor.ADVERTISER, ends_pause=ON)], None, id="only switched on"),
            pytest.param([row(Actor.META, 10), row(Actor.ADVERTISER, 20)], Actor.ADVERTISER, id="a person came last"),
            pytest.param([row(Actor.ADVERTISER, 10), row(Actor.META, 9_000)], Actor.ADVERTISER, id="a review ended"),
            pytest.param([row(Actor.UNKNOWN, 10), row(Actor.META, 20)], Actor.UNKNOWN, id="nobody known, then Meta"),
            pytest.param([row(Actor.META, 10), row(Actor.META, 20)], Actor.META, id="two rows of Meta's"),
            pytest.param(
                [row(Actor.ADVERTISER, 10), row(Actor.ADVERTISER, 20, ends_pause=ON), row(Actor.META, 30)],
                Actor.META,
                id="on again, and off again by Meta",
            ),
            pytest.param(
                [row(Actor.META, 20), row(Actor.ADVERTISER, 30, ends_pause=ON), row(Actor.ADVERTISER, 40)],
                Actor.ADVERTISER,
                id="on again, and off again by a person",
            ),
            pytest.param(
                [row(Actor.ADVERTISER, 20), row(Actor.META, 30, ends_pause=ON)], None, id="last seen switched on"
            ),
            pytest.param([row(Actor.ADVERTISER, -59)], Actor.ADVERTISER, id="as clocks differ"),
            pytest.param([row(Actor.ADVERTISER, -60)], Actor.ADVERTISER, id="as far as clocks may differ"),
            pytest.param([row(Actor.ADVERTISER, -61)], None, id="before the change"),
            pytest.param([row(Actor.ADVERTISER, 86_400)], Actor.ADVERTISER, id="a day later"),
        ],
    )
    def test_the_rows_since_it_was_last_on_tell(self, log: list[StatusChange], actor: Actor | None) -> None:
        """Meta lists the newest row first; neither its order nor rows of other ads count."""
        for rows_in_order in (log, log[::-1]):
            found = who_paused(RAN.id, rows_in_order, SINCE)
            assert (found and found.actor) == actor

    @given(logs, st.randoms())
    def test_it_names_a_row_of_the_ad_that_switched_it_off_since(self, log: list[StatusChange], random: Any) -> None:
        """Whatever else stands in the log, and in whatever order."""
        random.shuffle(log)

        found = who_paused("11", log, SINCE)

        if found is not None:
            assert found in log
            assert (found.ad_id, found.ends_pause) == ("11", OFF)
            assert found.at >= SINCE - CLOCK_TOLERANCE
            later = [other for other in log if other.ad_id == "11" and other.at > found.at]
            assert not any(other.ends_pause for other in later)
            assert found.actor is not Actor.META or all(other.actor is Actor.META for other in later)

    def test_of_rows_of_one_second_the_first_in_the_log_is_the_newest(self) -> None:
        """Meta tells whole seconds, newest first: it may pause an ad in the second in which it was re-published."""
        log = [row(Actor.META, 30), row(Actor.ADVERTISER, 30, ends_pause=ON)]

        found = who_paused(RAN.id, log, SINCE)

        assert found is not None
        assert found.actor is Actor.META


class TestPreflight:
    """Layer 1: which ads keep an ad set from being changed."""

    @pytest.mark.parametrize(
        "ad",
        ids(
            [
                ("active", RAN),
                ("paused by a person", paused()),
                *[
                    (status.lower(), replace(RAN, effective_status=status))
                    for status in (
                        *("ADSET_PAUSED", "CAMPAIGN_PAUSED", "ARCHIVED", "DELETED"),
                        *("PENDING_REVIEW", "IN_PROCESS", "PREAPPROVED", "PENDING_BILLING_INFO"),
                    )
                ],
                ("soft error", replace(RAN, issues=(SOFT,))),
                ("error without a type", replace(RAN, issues=(UNTYPED,))),
                ("pending with a soft error", replace(RAN, effective_status="PENDING_REVIEW", issues=(SOFT,))),
                ("feedback on a running ad", replace(RAN, review_feedback="SOME_POLICY: Fine now")),
            ]
        ),
    )
    def test_what_is_not_broken_keeps_nothing_from_changing(self, ad: Ad) -> None:
        """Pauses, reviews and warnings are not damage."""
        assert check_ad_health(AdSetSnapshot("1", "A", "900", "ACTIVE", {}, (ad,))) == ()

    @pytest.mark.parametrize(
        ("ad", "reason"),
        [
            pytest.param(replace(RAN, issues=(LOST_FORM,)), "Choose a form for this ad. (#3390001)", id="lost form"),
            pytest.param(paused(LOST_FORM), "Choose a form for this ad", id="lost form, paused"),
            pytest.param(replace(RAN, issues=(replace(LOST_FORM, type=None),)), "3390001", id="lost form, untyped"),
            pytest.param(replace(RAN, issues=(replace(LOST_FORM, type="SOFT_ERROR"),)), "3390001", id="called soft"),
            pytest.param(replace(RAN, issues=(HARD,)), "Post not available (#2446289)", id="hard error while active"),
            pytest.param(replace(RAN, issues=(SOFT, HARD)), "ACTIVE: Post not available", id="hard after soft"),
            pytest.param(
                replace(RAN, effective_status="PENDING_REVIEW", issues=(HARD,)), "Post not", id="hard error in review"
            ),
            pytest.param(replace(RAN, effective_status="WITH_ISSUES"), "Meta gives no reason", id="no reason"),
            pytest.param(
                replace(RAN, effective_status="WITH_ISSUES", issues=(SOFT,)), "Audience may be too", id="soft issues"
            ),
            pytest.param(
                replace(RAN, effective_status="PAUSED"),
                "is switched on, and Meta has paused it: no",
                id="paused by Meta",
            ),
            pytest.param(replace(RAN, effective_status="DISAPPROVED"), "DISAPPROVED: Meta gives no", id="disapproved"),
            pytest.param(
                replace(RAN, effective_status="DISAPPROVED", review_feedback="SOME_POLICY: No shouting"),
                "SOME_POLICY: No shouting",
                id="disapproved with a reason",
            ),
        ],
    )
    def test_a_broken_ad_is_named_with_metas_reason(self, ad: Ad, reason: str) -> None:
        """The report has the ad's name, its id and what Meta says."""
        (finding,) = check_ad_health(AdSetSnapshot("1", "A", "900", "ACTIVE", {}, (ad,)))

        assert (finding.health, finding.ad) == (AdHealth.BROKEN, ad)
        assert str(finding).startswith("Ad “Spring” (11): ")
        assert reason in finding.reason

    def test_a_status_that_is_new_is_not_taken_for_health(self) -> None:
        """Meta adds statuses; what one means is not ours to guess."""
        ad = replace(RAN, effective_status="SLEEPING")

        (finding,) = check_ad_health(AdSetSnapshot("1", "A", "900", "ACTIVE", {}, (ad,)))

        assert finding.health is AdHealth.UNREADABLE
        assert "SLEEPING" in finding.reason

    def test_an_ad_that_cannot_be_read_is_not_taken_for_healthy(self) -> None:
        """With why, whatever its row says besides."""
        ad = replace(RAN, issues=(LOST_FORM,), unreadable="Its status is no text")

        findings = check_ad_health(AdSetSnapshot("1", "A", "900", "ACTIVE", {}, (ad,)))

        assert findings == (AdFinding(ad, AdHealth.UNREADABLE, "Its status is no text"),)

    def test_each_broken_ad_is_named(self) -> None:
        """One broken ad hides no other, and a sound one is not named."""
        found = [replace(RAN, id=str(number), issues=(LOST_FORM,) if number % 2 else ()) for number in range(4)]

        findings = check_ad_health(AdSetSnapshot("1", "A", "900", "ACTIVE", {}, tuple(found)))

        assert [finding.ad.id for finding in findings] == ["1", "3"]


ISSUES_THAT_COUNT = ids(
    [
        ("lost form", paused(LOST_FORM)),
        ("lost form, untyped", paused(replace(LOST_FORM, type=None))),
        ("hard error", paused(HARD)),
        ("with issues", paused(effective_status="WITH_ISSUES")),
        ("disapproved", paused(effective_status="DISAPPROVED")),
    ]
)
ISSUES_THAT_DO_NOT = ids([("none", paused()), ("soft", paused(SOFT)), ("untyped", paused(UNTYPED))])
NO_WORD_OF_IT: list[Any] = ids(
    [
        ("no row", []),
        ("a row of another ad", [row(Actor.META, ad_id="12")]),
        ("an older row", [row(Actor.META, -61)]),
        ("an older row of a person", [row(Actor.ADVERTISER, -61)]),
        ("a row without an actor", [row(Actor.UNKNOWN)]),
        ("switched on since", [row(Actor.META, ends_pause=ON)]),
    ]
)


class TestWhosePause:
    """An ad that ran before a change and is off now."""

    @pytest.mark.parametrize("now", [*ISSUES_THAT_DO_NOT, *ISSUES_THAT_COUNT])
    @pytest.mark.parametrize("seconds", [-30, 0, 70, 86_000])
    def test_a_person_another_app_or_a_rule_may_switch_an_ad_off(self, now: Ad, seconds: float) -> None:
        """It is no damage, whatever else is wrong with the ad, and no reason to roll back."""
        assert health_of([now], [row(Actor.ADVERTISER, seconds)]) == [AdHealth.HEALTHY]

    @pytest.mark.parametrize("now", ISSUES_THAT_DO_NOT)
    @pytest.mark.parametrize("seconds", [-30, 0, 70, 86_000])
    def test_what_the_log_says_meta_did_is_damage(self, now: Ad, seconds: float) -> None:
        """Without a reason too: nobody who buys the ad has wished it."""
        (finding,) = compare_ads([RAN], [now], [row(Actor.META, seconds)], SINCE)

        assert finding.health is AdHealth.BROKEN
        assert finding.reason == "was switched on before, and Meta has paused it without giving a reason"

    @pytest.mark.parametrize("now", ISSUES_THAT_COUNT)
    @pytest.mark.parametrize("log", [*NO_WORD_OF_IT, pytest.param([row(Actor.META)], id="Meta")])
    def test_with_an_issue_that_counts_it_is_metas(self, now: Ad, log: list[StatusChange]) -> None:
        """Whenever it happened, and whatever the log fails to tell."""
        (finding,) = compare_ads([RAN], [now], log, SINCE)

        assert finding.health is AdHealth.BROKEN
        assert finding.reason.startswith("was switched on before and is PAUSED now")

    @pytest.mark.parametrize("now", ISSUES_THAT_DO_NOT)
    @pytest.mark.parametrize("log", NO_WORD_OF_IT)
    def test_without_an_issue_and_without_a_trace_it_is_unexplained(self, now: Ad, log: list[StatusChange]) -> None:
        """Neither healthy nor broken: rows may be missing, and the log may not be readable at all."""
        (finding,) = compare_ads([RAN], [now], log, SINCE)

        assert finding.health is AdHealth.UNEXPLAINED
        assert finding.reason == "was on before our change, is off now, and nobody can tell by whom"

    def test_the_reason_names_what_meta_says(self) -> None:
        """All issues, on one line."""
        (finding,) = compare_ads([RAN], [paused(SOFT, LOST_FORM)], (), SINCE)

        assert "Audience may be too narrow" in finding.reason
        assert "#3390001" in finding.reason

    def test_without_an_issue_the_status_is_the_reason(self) -> None:
        (finding,) = compare_ads([RAN], [paused(effective_status="DISAPPROVED")], (), SINCE)

        assert finding.reason == "was switched on before and is PAUSED now: DISAPPROVED: Meta gives no reason"

    def test_an_ad_that_is_switched_on_and_does_not_run_is_metas(self) -> None:
        """Only Meta pauses without touching the configured status."""
        now = [replace(RAN, effective_status="PAUSED"), replace(RAN, effective_status="PAUSED", issues=(SOFT,))]
        findings = [compare_ads([RAN], [ad], [row(Actor.ADVERTISER)], SINCE)[0] for ad in now]

        assert [finding.health for finding in findings] == [AdHealth.BROKEN] * 2
        assert findings[0].reason == "is switched on, and Meta has paused it: no reason given"
        assert "Audience may be too narrow" in findings[1].reason

    def test_an_ad_that_is_no_longer_listed_was_taken_away_by_a_person(self) -> None:
        """Meta neither archives nor deletes ads."""
        assert compare_ads([RAN], [], (), SINCE) == (AdFinding(RAN, AdHealth.HEALTHY),)

    @pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
    @pytest.mark.parametrize("found", [(), (LOST_FORM,), (HARD,)], ids=["well", "lost form", "hard error"])
    def test_nor_is_an_ad_that_is_listed_as_archived_or_deleted_a_failure(
        self, status: str, found: tuple[AdIssue, ...]
    ) -> None:
        """It cannot be re-published any more, so nothing could ever be proven of it."""
        now = replace(RAN, status=status, effective_status=status, issues=found)

        assert health_of([now]) == [AdHealth.HEALTHY]


class TestAfterAChange:
    """How the ads do that are still on."""

    @pytest.mark.parametrize(
        ("now", "health"),
        [
            pytest.param(RAN, AdHealth.HEALTHY, id="runs"),
            pytest.param(replace(RAN, issues=(SOFT,)), AdHealth.HEALTHY, id="soft error"),
            pytest.param(replace(RAN, effective_status="ADSET_PAUSED"), AdHealth.HEALTHY, id="ad set off"),
            pytest.param(replace(RAN, effective_status="CAMPAIGN_PAUSED"), AdHealth.HEALTHY, id="campaign off"),
            pytest.param(replace(RAN, effective_status="PENDING_REVIEW"), AdHealth.PENDING, id="in review"),
            pytest.param(replace(RAN, effective_status="IN_PROCESS"), AdHealth.PENDING, id="in process"),
            pytest.param(replace(RAN, effective_status="SLEEPING"), AdHealth.UNREADABLE, id="a new status"),
            pytest.param(replace(RAN, effective_status="WITH_ISSUES"), AdHealth.BROKEN, id="with issues"),
            pytest.param(replace(RAN, effective_status="DISAPPROVED"), AdHealth.BROKEN, id="disapproved"),
            pytest.param(replace(RAN, issues=(LOST_FORM,)), AdHealth.BROKEN, id="lost form"),
            pytest.param(
                replace(RAN, effective_status="PENDING_REVIEW", issues=(HARD,)), AdHealth.BROKEN, id="hard in review"
            ),
        ],
    )
    @pytest.mark.parametrize("log", [[], [row(Actor.ADVERTISER)], [row(Actor.META)]], ids=["silent", "person", "Meta"])
    def test_what_meta_shows_counts(self, now: Ad, health: AdHealth, log: list[StatusChange]) -> None:
        """Of an ad that is on now the log has nothing to say: it was switched on again."""
        assert health_of([now], log) == [health]

    @pytest.mark.parametrize(
        ("now", "answered_for"),
        [
            pytest.param(Ad("12", "New", "ACTIVE", "ACTIVE"), False, id="well"),
            pytest.param(Ad("12", "New", "ACTIVE", "WITH_ISSUES", (LOST_FORM,)), True, id="lost form"),
            pytest.param(Ad("12", "New", "ACTIVE", "WITH_ISSUES", (HARD,)), False, id="another error"),
            pytest.param(Ad("12", "New", "ACTIVE", "DISAPPROVED"), False, id="disapproved"),
            pytest.param(Ad("12", "New", "PAUSED", "PAUSED", (LOST_FORM,)), False, id="off, with a lost form"),
        ],
    )
    def test_of_ads_that_came_later_only_a_lost_form_is_our_doing(self, now: Ad, *, answered_for: bool) -> None:
        """Whatever else is wrong with it came with the person who added it."""
        findings = compare_ads([RAN], [RAN, now], (), SINCE)

        assert [finding.ad.id for finding in findings] == (["11", "12"] if answered_for else ["11"])
        assert [finding.health for finding in findings[1:]] == [AdHealth.BROKEN] * answered_for

    @given(ads_before, st.lists(ads_now, unique_by=lambda ad: ad.id), logs)
    def test_each_ad_that_ran_is_answered_for_once(
        self, before: list[Ad], now: list[Ad], log: list[StatusChange]
    ) -> None:
        """In the order in which they were; others follow only broken."""
        findings = compare_ads(before, now, log, SINCE)

        assert [finding.ad.id for finding in findings[: len(before)]] == [ad.id for ad in before]
        others = findings[len(before) :]
        assert {finding.health for finding in others} <= {AdHealth.BROKEN}
        assert not {finding.ad.id for finding in others} & {ad.id for ad in before}

    @given(ads_before, st.lists(ads_now, unique_by=lambda ad: ad.id), logs)
    def test_no_broken_ad_is_called_healthy_unless_a_person_has_switched_it_off(
        self, before: list[Ad], now: list[Ad], log: list[StatusChange]
    ) -> None:
        """Whatever Meta shows and the log says."""
        by_id = {ad.id: ad for ad in now}
        for finding in compare_ads(before, now, log, SINCE):
            there = by_id.get(finding.ad.id)
            if finding.health is AdHealth.HEALTHY and there is not None and there.status == "ACTIVE":
                assert not any(issue.type == "HARD_ERROR" or issue.code == 3390001 for issue in there.issues)
                assert there.effective_status in {"ACTIVE", "ADSET_PAUSED", "CAMPAIGN_PAUSED", "ARCHIVED", "DELETED"}
            if finding.health is AdHealth.HEALTHY and there is not None and there.status == "PAUSED":
                told = who_paused(there.id, log, SINCE)
                assert told is not None
                assert told.actor is Actor.ADVERTISER

    @given(ads_before, st.lists(ads_now, unique_by=lambda ad: ad.id), logs)
    def test_only_ads_that_are_off_need_the_log(self, before: list[Ad], now: list[Ad], log: list[StatusChange]) -> None:
        """It is read only if an ad that ran before is off now; without one it changes nothing."""
        if not pauses_to_explain(before, now):
            assert compare_ads(before, now, log, SINCE) == compare_ads(before, now, (), SINCE)

    def test_the_pauses_to_explain_are_of_ads_that_ran(self) -> None:
        """Neither of one that is gone, nor of one that was off already, nor of one that runs."""
        before = [RAN, Ad("12", "Gone", "ACTIVE", "ACTIVE"), Ad("13", "Runs", "ACTIVE", "ACTIVE")]
        now = [paused(), Ad("13", "Runs", "ACTIVE", "ACTIVE"), Ad("14", "Was off", "PAUSED", "PAUSED")]

        assert pauses_to_explain(before, now) == {"11"}

    @pytest.mark.parametrize(
        ("status", "processed"), [("IN_PROCESS", True), ("PENDING_REVIEW", False), ("ACTIVE", False)]
    )
    def test_processing_takes_seconds_and_a_review_hours(self, status: str, *, processed: bool) -> None:
        """Only the one is waited for."""
        (finding,) = compare_ads([RAN], [replace(RAN, effective_status=status)], (), SINCE)

        assert is_in_process(finding) is processed


class TestSwitchedOffByMeta:
    """The ads that are to be switched on again, and no other."""

    @pytest.mark.parametrize(
        ("now", "log", "is_to_run"),
        [
            pytest.param(paused(), [row(Actor.META)], True, id="Meta, by the log"),
            pytest.param(paused(LOST_FORM), [], True, id="with an issue, and no row"),
            pytest.param(paused(LOST_FORM), [row(Actor.META)], True, id="with an issue, by the log"),
            pytest.param(paused(LOST_FORM), [row(Actor.ADVERTISER)], False, id="a person, in spite of an issue"),
            pytest.param(
                paused(LOST_FORM), [row(Actor.META, 10), row(Actor.ADVERTISER, 20)], False, id="Meta, then a person"
            ),
            pytest.param(paused(), [row(Actor.ADVERTISER)], False, id="a person"),
            pytest.param(paused(), [], False, id="nobody knows"),
            pytest.param(paused(), [row(Actor.META, -61)], False, id="Meta, before the change"),
            pytest.param(paused(SOFT), [], False, id="a warning explains nothing"),
            pytest.param(RAN, [row(Actor.META)], False, id="it is on"),
            pytest.param(replace(RAN, effective_status="PAUSED"), [], False, id="it is switched on, and does not run"),
            pytest.param(replace(RAN, status="ARCHIVED"), [row(Actor.META)], False, id="archived"),
        ],
    )
    def test_whose_pause_decides(self, now: Ad, log: list[StatusChange], *, is_to_run: bool) -> None:
        """No ad is switched on that a person may have switched off."""
        assert switched_off_by_meta([RAN], [now], log, SINCE) == ((now,) if is_to_run else ())

    def test_one_that_was_off_before_or_is_gone_is_not_among_them(self) -> None:
        """The change answers for what ran."""
        other = Ad("12", "Off", "PAUSED", "PAUSED", (LOST_FORM,))

        assert switched_off_by_meta([RAN], [other], [row(Actor.META, ad_id="12")], SINCE) == ()

    @given(ads_before, st.lists(ads_now, unique_by=lambda ad: ad.id), logs)
    def test_none_is_one_that_a_person_may_have_paused(
        self, before: list[Ad], now: list[Ad], log: list[StatusChange]
    ) -> None:
        """Each of them ran, is off, and is broken; the log names no person after the change."""
        findings = {finding.ad.id: finding for finding in compare_ads(before, now, log, SINCE)}

        for ad in switched_off_by_meta(before, now, log, SINCE):
            assert ad.id in {each.id for each in before}
            assert ad.status == "PAUSED"
            assert findings[ad.id].health is AdHealth.BROKEN
            told = who_paused(ad.id, log, SINCE)
            assert told is None or told.actor is not Actor.ADVERTISER


class TestRanMeanwhile:
    """Ads that a person has switched on after the change began, and Meta off."""

    OFF = Ad("12", "New", "PAUSED", "PAUSED")

    @pytest.mark.parametrize(
        ("now", "log", "ran"),
        [
            pytest.param(OFF, [row(Actor.META, ad_id="12")], True, id="Meta"),
            pytest.param(OFF, [row(Actor.ADVERTISER, ad_id="12")], False, id="a person"),
            pytest.param(OFF, [row(Actor.UNKNOWN, ad_id="12")], False, id="nobody known"),
            pytest.param(OFF, [row(Actor.META)], False, id="another ad"),
            pytest.param(OFF, [row(Actor.META, -61, ad_id="12")], False, id="before"),
            pytest.param(replace(OFF, status="ACTIVE"), [row(Actor.META, ad_id="12")], False, id="on again"),
            pytest.param(paused(), [row(Actor.META)], False, id="it ran before as well"),
        ],
    )
    def test_only_what_was_off_before_and_is_off_by_metas_hand(
        self, now: Ad, log: list[StatusChange], *, ran: bool
    ) -> None:
        """The change answers for all others elsewhere."""
        assert responsible_for([RAN], [now], log, SINCE) == ((RAN, replace(now, status="ACTIVE")) if ran else (RAN,))


class TestRemembering:
    """What an earlier read of an ad set tells of its ads now."""

    def test_when_each_was_last_seen_to_run(self) -> None:
        """However it does now; one that was off, broken or not there did not run."""
        earlier = SINCE - timedelta(seconds=9)
        others = (replace(paused(), id="12"), replace(RAN, id="13", issues=(LOST_FORM,)))
        first = AdSetSnapshot("501", "Broad", "900", "ACTIVE", {}, (RAN, *others), read_at=SINCE)
        now = replace(first, ads=(paused(), *others, replace(RAN, id="14")), read_at=SINCE + timedelta(seconds=9))
        before = replace(first, ads=(paused(), replace(RAN, id="12")), read_at=earlier)

        then = remembering(now, remembering(first, before))

        assert {ad.id: ad.seen_on for ad in then.ads if ad.seen_on > LONG_AGO} == {"11": SINCE, "12": earlier}
        assert (then.ads, then.read_at) == (now.ads, now.read_at)


class TestSeenOn:
    """A pause by Meta that an ad cannot be in, as it was seen on since."""

    @pytest.mark.parametrize(
        ("actor", "seconds", "counts"),
        [
            pytest.param(Actor.META, -4, False, id="it was on since"),
            pytest.param(Actor.META, -3, True, id="perhaps before what was seen"),
            pytest.param(Actor.ADVERTISER, -30, True, id="a person's, which stands"),
            pytest.param(Actor.UNKNOWN, -30, True, id="whoever that was"),
        ],
    )
    def test_only_what_was_seen_to_be_over_does_not_count(self, actor: Actor, seconds: float, *, counts: bool) -> None:
        """The log may lag behind, so its last row need not be the last thing that happened."""
        row = StatusChange("11", SINCE + timedelta(seconds=seconds), ends_pause=False, actor=actor)

        assert who_paused("11", [row], SINCE, SINCE) == (row if counts else None)
        assert who_paused("11", [row], SINCE) == row

    def test_what_ended_an_earlier_pause_still_does(self) -> None:
        """Meta logs the end of a review as its own, and the pause before it was a person's."""
        person, review = (
            StatusChange("11", SINCE - timedelta(seconds=30 - number), ends_pause=bool(number), actor=actor)
            for number, actor in enumerate([Actor.ADVERTISER, Actor.META])
        )

        assert who_paused("11", [review, person], SINCE, SINCE) is None


class TestBrokeWhileOff:
    """Ads that were off, as far as the reads tell, and have lost their form nevertheless."""

    OFF = Ad("12", "New", "PAUSED", "PAUSED")
    LOST = replace(OFF, issues=(LOST_FORM,))

    @pytest.mark.parametrize(
        ("before", "now", "broke"),
        [
            pytest.param([OFF], LOST, True, id="it was off"),
            pytest.param([], LOST, True, id="it was not there"),
            pytest.param([LOST], LOST, False, id="it had lost its form before"),
            pytest.param([replace(OFF, status="ACTIVE")], LOST, False, id="it ran, so its pause is explained anyhow"),
            pytest.param([OFF], OFF, False, id="it has its form"),
            pytest.param([OFF], replace(LOST, status="ACTIVE"), False, id="it is on, so it counts anyhow"),
        ],
    )
    def test_only_what_is_new(self, before: list[Ad], now: Ad, *, broke: bool) -> None:
        """Only of these can the log tell more than the reads."""
        assert broke_while_off(before, [now]) == ({now.id} if broke else frozenset())


def read(ads: Iterable[Ad], at: datetime = NOW) -> AdSetSnapshot:
    """Return an ad set with these ads."""
    return AdSetSnapshot("1", "Broad", "9", "ACTIVE", {}, tuple(ads), read_at=at)


class TestStillUnexplained:
    """Pauses that are told in every report until they are explained."""

    PAUSE = UnexplainedPause("1", "Broad", {"11": "Spring", "12": "Autumn"}, SINCE)

    def left(self, ads: Sequence[Ad], log: Iterable[StatusChange] = ()) -> list[str]:
        """Return the ids of the ads of which it is still to be told."""
        left = still_unexplained(self.PAUSE, read(ads), log)
        return [] if left is None else list(left.ads)

    def off(self, *ad_ids: str) -> list[Ad]:
        """Return ads that are off."""
        return [Ad(ad_id, "?", "PAUSED", "PAUSED") for ad_id in ad_ids]

    def test_as_long_as_they_are_off_without_a_trace(self) -> None:
        """Day after day, with the names from when it was noticed."""
        assert still_unexplained(self.PAUSE, read(self.off("11", "12", "13")), []) == self.PAUSE

    @pytest.mark.parametrize(
        ("ads", "log", "left"),
        [
            pytest.param(["11"], [], ["11"], id="the other is gone"),
            pytest.param([], [], [], id="both are gone"),
            pytest.param(["11", "12"], [row(Actor.ADVERTISER)], ["12"], id="the log names a person"),
            pytest.param(["11", "12"], [row(Actor.META)], ["11", "12"], id="the log names Meta"),
            pytest.param(["11", "12"], [row(Actor.UNKNOWN)], ["11", "12"], id="the log names nobody"),
            pytest.param(["11", "12"], [row(Actor.ADVERTISER, -61)], ["11", "12"], id="an older pause"),
            pytest.param(["11", "12"], [row(Actor.ADVERTISER, 40, ad_id="12"), row(Actor.ADVERTISER)], [], id="both"),
        ],
    )
    def test_what_is_explained_is_told_no_more(self, ads: list[str], log: list[StatusChange], left: list[str]) -> None:
        """Each ad for itself."""
        assert self.left(self.off(*ads), log) == left

    def test_if_none_is_left_nothing_is_told(self) -> None:
        """No entry without an ad."""
        assert still_unexplained(self.PAUSE, read([]), []) is None

    def test_one_that_is_on_again_is_told_no_more(self) -> None:
        """Whoever did it, and however it does: that shows elsewhere."""
        assert self.left([replace(RAN, effective_status="WITH_ISSUES"), *self.off("12")]) == ["12"]


class TestOnAgain:
    """Ads that are on again: what paused them may pause them once more."""

    DAY = timedelta(days=1)
    PAUSE = UnexplainedPause("1", "Broad", {"11": "Spring", "12": "Autumn"}, SINCE, is_reported=True)
    ON = Ad("11", "Spring", "ACTIVE", "ACTIVE")
    OFF = Ad("11", "Summer", "PAUSED", "PAUSED")
    OTHER = Ad("12", "Autumn", "PAUSED", "PAUSED")

    def after(self, *looks: tuple[timedelta, Ad], log: Iterable[StatusChange] = ()) -> UnexplainedPause | None:
        """Return what is left of the pause after its first ad was looked at."""
        left: UnexplainedPause | None = self.PAUSE
        for at, ad in looks:
            left = left and still_unexplained(left, read([ad, self.OTHER], SINCE + at), log)
        return left

    def test_it_is_no_longer_reported_but_followed(self) -> None:
        """Since it was first seen on, however often it is seen so."""
        left = self.after((self.DAY, self.ON), (1.5 * self.DAY, self.ON))

        assert left is not None
        assert (left.ads, left.on_again) == ({"12": "Autumn"}, {"11": SINCE + self.DAY})

    @pytest.mark.parametrize("others", [True, False])
    def test_it_is_over_after_a_day(self, *, others: bool) -> None:
        """Together with the last of its ads."""
        left = self.after((self.DAY, self.ON), (2 * self.DAY, self.ON))
        assert left == replace(self.PAUSE, ads={"12": "Autumn"}, seen_on={"11": SINCE + 2 * self.DAY})

        if not others:
            both = replace(self.PAUSE, ads={}, on_again={"11": SINCE})
            assert still_unexplained(both, read([self.ON], SINCE + self.DAY), ()) is None

    def test_that_it_is_off_once_more_is_news(self) -> None:
        """With the name that it has by now, and however long ago it was seen on."""
        left = self.after((self.DAY, self.ON), (3 * self.DAY, self.OFF))

        assert left is not None
        assert (left.ads, left.on_again) == ({"11": "Summer", "12": "Autumn"}, {})
        assert (left.is_reported, left.seen_on) == (False, {"11": SINCE + self.DAY})

    def test_a_pause_by_meta_from_before_explains_nothing(self) -> None:
        """It has run since; a person's is over with it."""
        log = [row(Actor.META)]
        left = self.after((self.DAY, self.ON), (2 * self.DAY, self.OFF), log=log)

        assert left is not None
        assert explained_as_metas(left, [self.OFF], log) == ()

    @pytest.mark.parametrize(
        "now", [pytest.param([OFF], id="paused by the advertiser"), pytest.param([], id="deleted")]
    )
    def test_one_that_is_explained_is_followed_no_more(self, now: list[Ad]) -> None:
        """Nobody has to be told of it."""
        both = replace(self.PAUSE, ads={}, on_again={"11": SINCE})

        assert still_unexplained(both, read(now), [row(Actor.ADVERTISER, 60)]) is None


class TestExplainedAsMetas:
    """Unexplained pauses that the log tells by now to be Meta's."""

    PAUSE = UnexplainedPause("1", "Broad", {"11": "Spring"}, SINCE)

    @pytest.mark.parametrize(
        ("ad_id", "status", "log", "found"),
        [
            pytest.param("11", "PAUSED", [row(Actor.META)], True, id="Meta's"),
            pytest.param("11", "ACTIVE", [row(Actor.META)], False, id="on again"),
            pytest.param("12", "PAUSED", [row(Actor.META, ad_id="12")], False, id="another ad"),
            pytest.param("11", "PAUSED", [], False, id="without a trace"),
            pytest.param("11", "PAUSED", [row(Actor.UNKNOWN)], False, id="by nobody known"),
            pytest.param("11", "PAUSED", [row(Actor.ADVERTISER, 40), row(Actor.META)], False, id="a person's since"),
            pytest.param("11", "PAUSED", [row(Actor.META, -61)], False, id="an older pause"),
        ],
    )
    def test_only_what_is_off_by_metas_own_hand(
        self,
        ad_id: str,
        status: str,
        log: list[StatusChange],
        found: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        """The newest row since the change counts."""
        ads = [Ad(ad_id, "?", status, status)]
        assert explained_as_metas(self.PAUSE, ads, log) == (tuple(ads) if found else ())


class TestWords:
    """An issue as the report shows it."""

    @pytest.mark.parametrize(
        ("issue", "text"),
        [
            (AdIssue(5, "Summary", "Message", None), "Summary: Message (#5)"),
            (AdIssue(5, "Summary", "Summary", None), "Summary (#5)"),
            (AdIssue(5, "Summary", "", None), "Summary (#5)"),
            (AdIssue(5, "Summary", "Message (#5)", None), "Summary: Message (#5)"),
            (AdIssue(None, "Summary", "Message", None), "Summary: Message"),
        ],
    )
    def test_nothing_is_said_twice(self, issue: AdIssue, text: str) -> None:
        """Meta often repeats the summary, and puts the code into the message."""
        assert str(issue) == text

    def test_the_time_since_which_a_pause_is_unexplained_is_kept(self) -> None:
        """The report says how long it has been so."""
        later: datetime = SINCE + timedelta(days=2)
        pause = UnexplainedPause("1", "Broad", {"11": "Spring"}, later)

        left = still_unexplained(pause, read([paused()]), [])

        assert left is not None
        assert left.since == later


def test_an_ad_on_in_an_ad_set_with_issues_is_broken() -> None:
    """None of its own fields says so; one that is off had not run anyway."""
    on = replace(RAN, adset_issues="Budget too low")
    off = replace(on, id="12", status="PAUSED", effective_status="PAUSED")

    assert compare_ads((RAN,), (on,), (), SINCE) == (
        AdFinding(on, AdHealth.BROKEN, "WITH_ISSUES: its whole ad set has issues: Budget too low"),
    )
    assert [found.ad.id for found in check_ad_health(AdSetSnapshot("1", "Broad", "9", "ACTIVE", {}, (on, off)))] == [
        "11"
    ]


def test_an_ad_that_waits_for_billing_details_is_named_unless_it_has_other_problems() -> None:
    """Neither is one that is off, nor one that waits for something else."""
    waits = replace(RAN, effective_status="PENDING_BILLING_INFO")
    others = (
        replace(waits, id="12", status="PAUSED"),
        replace(waits, id="13", issues=(HARD,)),
        replace(RAN, id="14", effective_status="PENDING_REVIEW"),
    )

    found = unpaid_ads(AdSetSnapshot("1", "Broad", "9", "ACTIVE", {}, (waits, *others)))

    assert found == (AdFinding(waits, AdHealth.PENDING, "PENDING_BILLING_INFO"),)
