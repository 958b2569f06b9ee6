"""The order of a campaign's changes: canaries, waves, when a campaign is stopped, and what time and quota allow."""

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.plan import decide
from closrads.domain.request import Action
from closrads.errors import (
    ClosradsError,
    ConfigError,
    LedgerError,
    MetaFatalError,
    MetaInvalidError,
    MetaObjectError,
    MetaRateLimitError,
    PausedError,
)
from closrads.meta.graph import GraphApi
from closrads.rollout import rollout
from closrads.rollout.guards import WRITES_AT_ONCE
from closrads.rollout.job import Job
from closrads.rollout.rollout import WavePolicy, carry_out, withhold
from closrads.rollout.wave import Outcome
from closrads.state_mapper import build_fb_regions
from sandbox.meta import Breakage, Operation, faults
from sandbox.meta.quota import use_case
from sandbox.server import Reply
from tests.business import Business
from tests.ledger_world import EARLIER, RECHECK, entries, ledger, only_reads
from tests.log_lines import logged
from tests.world import LIVE, MORTGAGE_1, START, World, ids

GOOD = Result.UPDATED
BAD = (Result.REVERTED, Result.ROLLBACK_FAILED, Result.UNVERIFIED)
UNTRIED = tuple(result for result in Result if result not in {GOOD, *BAD})
WAVES = st.lists(st.lists(st.sampled_from(Result), max_size=8), max_size=8)


def outcome(result: Result, error: ClosradsError | None = None, *, is_isolated: bool = False) -> Outcome:
    """Return what became of some ad set."""
    return Outcome(AdSetResult("501", "Broad", result), error, is_isolated=is_isolated)


def refused(code: int, subcode: int | None = None) -> Outcome:
    """Return an ad set that Meta refused with these codes."""
    kind = MetaObjectError if (code, subcode) == ENDED else MetaInvalidError
    return outcome(Result.FAILED, kind("Meta refuses it", code=code, subcode=subcode))


ADSET = AdSetSnapshot("501", "Broad", "900", "ACTIVE", {"geo_locations": {"regions": [{"key": "3886"}]}})
CHANGE = decide(ADSET, build_fb_regions(["FL"]), ())
INVALID, FATAL = MetaInvalidError("Meta refuses it"), MetaFatalError("Meta blocks it")
THROTTLED = MetaRateLimitError("Meta is busy")
STOPPED_BEFORE = "The campaign was stopped before its turn"


def job_on(world: World) -> Job:
    """Return a job on the veterans."""
    return Job("veterans", EARLIER, Action.SYNC, world.api(), ledger(world), 0, lambda: None)


def cautious(*history: Sequence[Result | Outcome], wave_size: int = 25) -> WavePolicy:
    """Return the policy after these waves, of which none but the last may have stopped it."""
    policy = WavePolicy(wave_size)
    for wave in history:
        assert policy.stop == ""
        policy = policy.after([outcome(each) if isinstance(each, Result) else each for each in wave])
    return policy


class TestEndings:
    """What becomes of those whose turn did not come."""

    def test_a_campaign_that_is_withheld(self) -> None:
        """Each ad set is held, and the campaign has not failed."""
        ending = withhold([CHANGE])

        (found,) = ending.results.values()
        assert (found.result, found.issues) == (Result.HELD, ("The campaign was stopped before its turn",))
        assert (ending.stopped, ending.paused) == ("", None)

    def test_a_pause(self) -> None:
        """A person wanted it: it is no failure."""
        pause = PausedError("Everything is paused", START)

        ending = rollout._not_begun({}, [CHANGE], pause)

        (found,) = ending.results.values()
        assert (found.result, found.issues) == (Result.DEFERRED, ("Everything is paused",))
        assert (ending.stopped, ending.paused) == ("", pause)

    def test_a_switch_that_cannot_be_read(self) -> None:
        """Not to know whether it may go on is a failure."""
        error = ConfigError(["closrads/dev/enabled: cannot be read"])

        ending = rollout._not_begun({}, [CHANGE], error)

        (found,) = ending.results.values()
        assert (found.result, ending.stopped, ending.paused) == (Result.HELD, f"Stopped: {error}", None)

    @pytest.mark.parametrize(
        ("errors", "stop", "expected"),
        [
            ([None, INVALID], "", (Result.DEFERRED, "", "")),
            ([None, THROTTLED], "", (Result.DEFERRED, "Meta is busy", "")),
            ([None, THROTTLED, FATAL], "", (Result.HELD, STOPPED_BEFORE, "Stopped: Meta blocks it")),
            ([LedgerError("gone")], "", (Result.HELD, STOPPED_BEFORE, "Stopped: gone")),
            ([THROTTLED], "Stopped: half", (Result.HELD, STOPPED_BEFORE, "Stopped: half")),
            ([FATAL], "Stopped: half", (Result.HELD, STOPPED_BEFORE, "Stopped: half")),
        ],
    )
    def test_what_an_error_means_for_the_rest(
        self, errors: list[ClosradsError | None], stop: str, expected: tuple[Result, str, str]
    ) -> None:
        """Nothing, or that it waits, or that the campaign is stopped; what the rules say comes before an error."""
        assert rollout._result_for_rest(errors, stop) == expected


class TestRestrictions:
    """Whether the ad account's audience controls are why Meta refused."""

    @pytest.mark.parametrize(
        ("found", "may_be"),
        [
            (outcome(GOOD), False),
            (outcome(GOOD, INVALID), False),
            (outcome(Result.ROLLBACK_FAILED, INVALID), True),
            (outcome(Result.FAILED), False),
            (outcome(Result.FAILED, FATAL), False),
            (outcome(Result.FAILED, INVALID), True),
            (outcome(Result.FAILED, MetaObjectError("no", code=100)), False),
            (outcome(Result.FAILED, MetaObjectError("no", code=2641)), True),
        ],
    )
    def test_which_refusals_they_may_explain(self, found: Outcome, *, may_be: bool) -> None:
        """Of a reason that is an ad set's own only that a location is restricted."""
        assert rollout._may_be_restricted(found) is may_be

    def test_they_are_read_once_and_only_for_a_refusal(
        self, world: World, monkeypatch: pytest.MonkeyPatch, log: StringIO
    ) -> None:
        """What cannot be read explains nothing, and is not asked for again."""
        answers: list[Any] = [MetaFatalError("no right"), {"excluded_geo_locations": {"regions": [{"key": "3852"}]}}]
        asked: list[str] = []

        def read(api: GraphApi) -> Any:
            asked.append(api.ad_account_id)
            if isinstance(answer := answers[len(asked) - 1], MetaFatalError):
                raise answer
            return answer

        monkeypatch.setattr(rollout, "read_audience_controls", read)
        no, yes = (rollout._Restrictions(job_on(world)) for _ in range(2))
        bad = outcome(Result.FAILED, INVALID)

        assert no.explain([CHANGE], [outcome(GOOD)]) == ""
        assert asked == []
        assert [no.explain([CHANGE], [outcome(GOOD), bad]), no.explain([CHANGE], [bad])] == ["", ""]
        assert (asked, logged(log, "meta.no_account_controls", "error")) == (["act_111"], [("no right",)])
        assert "Stopped: The audience controls of the ad account exclude FL" in yes.explain([CHANGE], [bad])
        assert len(asked) == 2


class TestWavePolicy:
    """How many go together next, and whether any do."""

    def test_one_good_update_opens_the_way(self) -> None:
        """The first goes alone, then as many as the limit says."""
        assert cautious(wave_size=7).size == 1
        assert cautious([GOOD], wave_size=7).size == 7

    @pytest.mark.parametrize("bad", BAD)
    def test_two_bad_canaries_in_a_row_stop_the_campaign(self, bad: Result) -> None:
        """What cannot be shown to be well counts as bad too."""
        assert cautious([bad]).size == 1
        assert cautious([bad], [bad]).stop.startswith("Stopped: 2 ad sets in a row")

    def test_a_bad_canary_and_a_good_one_say_nothing_of_the_next(self) -> None:
        """Only two in a row count."""
        history = ([Result.REVERTED], [GOOD], [Result.REVERTED], [GOOD], [Result.REVERTED])

        assert cautious(*history).stop == ""
        assert cautious(*history, [Result.REVERTED]).stop

    def test_a_wave_parts_two_that_went_alone(self) -> None:
        """What most of a wave has shown counts more than what was before it."""
        assert cautious([GOOD], [Result.REVERTED], [GOOD, GOOD, Result.REVERTED], [Result.REVERTED]).stop == ""

    def test_a_good_second_canary_opens_the_way(self) -> None:
        """One bad ad set never blocks the others."""
        assert cautious([Result.REVERTED], [GOOD]).size == 25

    @pytest.mark.parametrize("untried", UNTRIED)
    def test_what_was_not_tried_says_nothing(self, untried: Result) -> None:
        """Neither good nor bad: the next is a canary as before, and two bad ones around it are in a row."""
        assert cautious([untried], [untried], [untried]).size == 1
        assert cautious([Result.REVERTED], [untried], [Result.REVERTED]).stop
        assert cautious([GOOD], [untried] * 20).size == 25

    @pytest.mark.parametrize("bad", BAD)
    def test_what_failed_for_a_reason_of_its_own_says_nothing(self, bad: Result) -> None:
        """Meta refused the re-publish of one ad: another ad set's ads are another matter."""
        own = outcome(bad, is_isolated=True)

        assert cautious([own], [own], [own]) == WavePolicy(25)
        assert cautious([GOOD], [own, own, GOOD]).stop == ""
        assert cautious([bad], [own], [bad]).stop.startswith("Stopped: 2 ad sets in a row")

    @given(WAVES)
    def test_the_way_stays_open(self, waves: list[list[Result]]) -> None:
        """A campaign that was proven good is stopped by a bad wave only, never sent back to canaries."""
        policy = cautious([GOOD])
        for wave in waves:
            policy = policy.after(list(map(outcome, wave)))
            assert policy.size == 25

    @given(WAVES)
    def test_only_what_was_put_back_stops(self, waves: list[list[Result]]) -> None:
        """However many are skipped, deferred or refused one by one, nothing is stopped for them."""
        cautious(*([result for result in wave if result not in BAD] for wave in waves), [])

    @given(st.integers(0, 20), st.integers(0, 20), st.lists(st.sampled_from(UNTRIED), max_size=5), st.randoms())
    def test_half_of_a_wave_stops_the_campaign(self, good: int, bad: int, untried: list[Result], random: Any) -> None:
        """Of those that were tried, in any order; the figures are in the message."""
        wave = [GOOD] * good + [BAD[number % len(BAD)] for number in range(bad)] + untried
        random.shuffle(wave)

        stop = cautious([GOOD], wave).stop

        if good + bad > 1:
            assert bool(stop) is (bad >= good)
            assert not stop or f"{bad} of the {good + bad} ad sets" in stop

    def test_half_of_a_wave_of_two_stops_the_campaign(self) -> None:
        """One that is well beside it proves no more than that Meta breaks some."""
        assert cautious([GOOD], [GOOD, Result.REVERTED]).stop.startswith("Stopped: 1 of the 2 ad sets")


REASON, OTHER_REASON = (100, 7654321), (100, 1234567)
"""Codes that are not about one ad set."""
ENDED = (100, 1487007)


class TestEqualRefusals:
    """Meta refuses one ad set after the other."""

    @pytest.mark.parametrize("waves", [(1, 1, 1), (3,), (2, 1)], ids=str)
    def test_three_in_a_row_for_the_same_reason_stop_the_campaign(self, waves: tuple[int, ...]) -> None:
        """Whether they went alone or together; the reason is told once."""
        stop = cautious(*([refused(*REASON)] * size for size in waves)).stop

        assert stop.startswith("Stopped: 3 ad sets in a row were refused for the same reason")
        assert "[Meta 100/7654321]" in stop

    @pytest.mark.parametrize(
        "wave",
        [
            pytest.param([refused(*REASON)] * 2, id="two"),
            pytest.param([refused(*OTHER_REASON), *[refused(*REASON)] * 2], id="one, and two for another reason"),
            pytest.param([refused(*ENDED)] * 9, id="each for a reason of its own"),
            pytest.param([refused(*REASON), refused(*OTHER_REASON)] * 4, id="in turn for two reasons"),
            pytest.param([*[refused(*REASON)] * 2, outcome(GOOD)] * 4, id="one of three was updated"),
            pytest.param([outcome(Result.FAILED, LedgerError("too large"))] * 5, id="not refused by Meta"),
            pytest.param([outcome(Result.NEEDS_ATTENTION)] * 5, id="not tried"),
        ],
    )
    def test_less_than_that_does_not(self, wave: list[Outcome]) -> None:
        """One ad set after the other, as one wave, and on top of a way that is open."""
        assert cautious(*([each] for each in wave)).stop == ""
        assert cautious(wave).stop == ""
        assert cautious([GOOD], wave).stop == ""

    @pytest.mark.parametrize(
        ("sentences", "stops"),
        [
            pytest.param([f"Meta refuses {number}: Budget too low" for number in (501, 502, 503)], True, id="ids"),
            pytest.param([f"“{name}” has too low a budget" for name in "ABC"], True, id="names in quotes"),
            pytest.param(["Broad (501) has no pixel"] * 3, True, id="names"),
            pytest.param([f"Invalid {field}" for field in ("pixel", "bid", "budget")], False, id="other reasons"),
        ],
    )
    def test_without_a_subcode_the_sentences_are_compared(self, sentences: list[str], *, stops: bool) -> None:
        """Code 100 alone may mean anything; ids and names do not make another reason of it."""
        errors = [MetaInvalidError(sentence, code=100) for sentence in sentences]
        policy = cautious(*([outcome(Result.FAILED, error)] for error in errors))

        assert bool(policy.stop) is stops

    def test_one_that_has_ended_in_between_does_not_part_them(self) -> None:
        """What is about itself says nothing about the others."""
        wave = [refused(*REASON), refused(*ENDED), refused(*REASON), outcome(Result.SKIPPED_PREFLIGHT)]

        assert cautious(wave, [refused(*REASON)]).stop

    def test_the_count_is_that_of_the_last_reason(self) -> None:
        """Two for one reason, and three for another."""
        history = [refused(*OTHER_REASON)] * 2 + [refused(*REASON)] * 2

        assert cautious(history).stop == ""
        assert cautious(history, [refused(*REASON)]).stop


# --- through the handler


class TestWhatARefusalIsAbout:
    """One ad set, or everything in the ad account."""

    def test_the_terms_of_an_audience_concern_the_ad_sets_that_use_it(self, business: Business) -> None:
        """They come with the code of a missing permission: the others are updated, and Meta's text is the advice."""
        business.adsets("ABCDEFGHIJKLMN")
        business.world.meta.adsets[business.ids["G"]].targeting["custom_audiences"] = [{"id": "1"}]
        business.world.meta.accounts["act_111"].audience_terms_accepted = False

        assert business.run() == {"failed": "G", "updated": "A B C D E F H I J K L M N"}
        assert "Accept the terms for custom audiences in Ads Manager" in business.issues("G")
        assert "access_token" not in business.errors

    def test_equal_refusals_after_a_good_update_stop_the_campaign_too(self, business: Business) -> None:
        """A wave of many does not try each of them, and the reason is told once."""
        business.world.put({"limits/wave_size": "25"})
        names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        business.adsets(names)
        reply = faults.error(100, 7654321, "Invalid parameter")
        business.world.meta.fail(
            reply,
            on=lambda call: (call.method, call.kind) == ("POST", "adset") and call.path != business.ids["A"],
            times=None,
        )

        came_to = business.run()

        assert came_to["updated"] == "A"
        assert 3 <= len(came_to["failed"].split()) <= 3 + WRITES_AT_ONCE
        assert came_to["held"].split()[-1] == "Z"
        assert business.errors.count("for the same reason") == 1
        business.assert_nothing_half_done()

    @pytest.mark.parametrize(
        "reply",
        ids(
            [
                ("hold", faults.ACCOUNT_HOLD),
                ("payment", faults.PAYMENT_MISSING),
                ("advertising forbidden", faults.ADVERTISING_FORBIDDEN),
                ("politics", faults.NOT_AUTHORIZED_FOR_POLITICS),
                ("dead token", faults.TOKEN_INVALID),
                ("retired version", faults.VERSION_RETIRED),
            ]
        ),
    )
    def test_what_concerns_all_stops_the_campaign_at_the_first(self, business: Business, reply: Reply) -> None:
        """Nothing else is tried, and it is told once."""
        business.adsets("ABCDE")
        business.world.meta.fail(reply, on="POST adset", times=None)

        assert business.run() == {"failed": "A", "held": "B C D E"}
        assert business.issues("E") == "The campaign was stopped before its turn"
        assert sum(call.method == "POST" for call in business.world.meta.operations) == 1
        assert business.errors.count("Stopped: ") == 1
        business.assert_nothing_half_done()


class TestWaves:
    """Who goes together."""

    def test_a_canary_goes_alone_then_waves(self, business: Business) -> None:
        """Each wave is re-published in one batch, waited for once and looked at in one batch."""
        business.adsets("ABCDEFGHIJ")

        assert business.run() == {"updated": "A B C D E F G H I J"}
        assert business.waves == business.batches("GET ads") == ["A", "B C D E", "F G H I", "J"]
        assert business.world.time.waits == [3, 3, 3, 3]
        business.assert_nothing_half_done()

    def test_each_wave_and_each_result_stands_in_the_log(self, business: Business, log: StringIO) -> None:
        """As it comes, so that also the log of a run that was cut off tells how far it came."""
        business.adsets("ABCDEF", bad="F")

        business.run()

        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        waves = [line for line in lines if line["message"] == "wave.start"]
        assert [(line["campaign"], line["adsets"], line["left"]) for line in waves] == [
            ("veterans", 1, 5),
            ("veterans", 4, 1),
            ("veterans", 1, 0),
        ]
        results = {line["adset_name"]: line for line in lines if line["message"] == "adset.result"}
        assert {name: line["result"] for name, line in results.items()} == {
            **dict.fromkeys("ABCDE", "updated"),
            "F": "reverted",
        }
        assert {line["campaign"] for line in results.values()} == {"veterans"}
        assert {name: line["adset"] for name, line in results.items()} == business.ids
        assert results["F"]["issues"] == business.issues("F").splitlines()

    def test_nothing_of_a_wave_begins_before_the_last_one_is_seen_through(self, business: Business) -> None:
        """The order of the layers, wave by wave."""
        business.adsets("ABC")

        business.run()

        kinds = [
            "+".join(f"{operation.method} {operation.kind}" for operation in request.operations)
            for request in business.world.meta.requests
        ]
        assert sorted(kinds[:2]) == ["GET ads", "GET adsets"]
        assert kinds[2:] == [
            *("POST adset", "POST ad+POST ad", "GET ads"),
            *("POST adset", "POST adset", "POST ad+POST ad+POST ad+POST ad", "GET ads+GET ads"),
        ]

    def test_what_was_read_long_ago_is_read_again_before_a_write(self, business: Business) -> None:
        """A wave in one batch; what is no older than a few seconds is not."""
        business.world.put({"limits/verify_wait_seconds": "2"})
        business.adsets("ABCDEFGHIJKLMN")

        assert business.run() == {"updated": "A B C D E F G H I J K L M N"}
        assert business.waves == ["A", "B C D E", "F G H I", "J K L M", "N"]
        assert business.batches("GET adset") == ["J K L M", "N"]

    def test_what_is_to_be_read_again_and_cannot_be_keeps_no_other_from_its_turn(self, business: Business) -> None:
        """Only the one that Meta does not show is not updated."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDE")
        business.world.meta.fail(
            faults.OBJECT_MISSING, on=lambda call: (call.method, call.path) == ("GET", business.ids["C"]), times=None
        )

        assert business.run() == {"updated": "A B D E", "failed": "C"}
        assert business.waves == ["A", "B D E"]
        business.assert_nothing_half_done()

    def test_what_is_to_be_read_again_and_brings_no_answer_keeps_no_other_from_its_turn(
        self, business: Business
    ) -> None:
        """The same where trying again may help, and does not."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDE")
        business.world.meta.fail(
            faults.NULL_ITEM, on=lambda call: (call.method, call.path) == ("GET", business.ids["C"]), times=None
        )

        assert business.run() == {"updated": "A B D E", "failed": "C"}
        assert business.waves == ["A", "B D E"]

    def test_a_wave_of_many_ads_takes_several_batches(self, business: Business) -> None:
        """More ads than fit into one batch, and still one wait."""
        business.adsets("ABC", ads=30)

        assert business.run() == {"updated": "A B C"}
        assert business.waves in (["A", "B C", "B"], ["A", "B C", "C"])
        assert business.world.time.waits == [3, 3]
        business.assert_nothing_half_done()

    def test_what_turns_out_to_be_no_change_proves_nothing(self, business: Business) -> None:
        """A person has done the second one when its turn comes: the next is the canary."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCD", bad="A")

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset":
                business.world.meta.on_request = None
                business.world.meta.change_by_hand(business.ids["B"], {"geo_locations": {"regions": [{"key": "3852"}]}})

        business.world.meta.on_request = person_comes

        assert business.run() == {"reverted": "A", "unchanged": "B", "updated": "C D"}
        assert business.waves == ["A", "A", "C", "D"]

    def test_ad_sets_of_two_meta_campaigns_share_a_canary_and_waves(self, world: World) -> None:
        """A campaign is what has one feed, however many Meta campaigns it has."""
        world.campaign("FL", meta_campaigns=("120200000000000900", MORTGAGE_1))
        business = Business(world)
        business.adsets("AB")
        for name in "CD":
            business.ids[name] = world.adset(name, campaign=MORTGAGE_1)

        assert business.run() == {"updated": "A B C D"}
        assert business.waves == ["A", "B C D"]

    def test_each_campaign_has_a_canary_of_its_own(self, business: Business) -> None:
        """What one has proven says nothing about another, and one that is stopped does not stop the other."""
        business.world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
        for name in "XYZ":
            business.ids[name] = business.world.adset(name, campaign=MORTGAGE_1, breakage=Breakage.stubborn())
        business.adsets("ABC")

        assert business.run() == {"reverted": "X Y", "held": "Z", "updated": "A B C"}
        assert business.errors.startswith("Stopped: 2 ad sets in a row")
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("seconds", [0.2, 0.7, 2])
    def test_no_ad_set_waits_long_for_its_republish(self, business: Business, seconds: float) -> None:
        """A wave is written side by side, so ads that break soon after a write do not."""
        business.adsets("ABCDEFGHI", breakage=Breakage.ordinary(seconds=5 * seconds))
        business.world.slow_down(seconds)

        assert business.run() == {"updated": "A B C D E F G H I"}
        assert business.waves == ["A", "B C D E", "F G H I"]
        business.assert_nothing_half_done()

    @pytest.mark.parametrize(
        ("reply", "call", "seconds"),
        [
            pytest.param(faults.throttled_account(300), "GET", 20, id="throttled look"),
            pytest.param(faults.SERVICE_UNAVAILABLE, "GET", 4, id="look at a bad moment"),
            pytest.param(faults.throttled_account(300), "POST", 20, id="throttled write"),
            pytest.param(faults.DROPPED, "POST", 4, id="lost write"),
        ],
    )
    def test_trouble_with_one_ad_set_does_not_keep_the_others_waiting(
        self, business: Business, reply: Reply, call: str, seconds: float
    ) -> None:
        """What is written is re-published before anything is waited for."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCD", breakage=Breakage.ordinary(seconds=seconds))
        times = 1 if seconds > 10 else 2
        business.world.meta.fail(
            reply, on=lambda operation: (operation.method, operation.path) == (call, business.ids["C"]), times=times
        )

        assert business.run() == {"updated": "A B C D"}
        business.assert_all_republished()

    def test_what_a_wave_left_out_is_waited_for_alone(self, business: Business) -> None:
        """So it keeps none of the next wave from its turn."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDEFG")
        business.world.meta.fail(
            faults.SERVICE_UNAVAILABLE, on=lambda call: (call.method, call.path) == ("GET", business.ids["C"]), times=2
        )

        assert business.run() == {"updated": "A B C D E F G"}
        assert business.waves == ["A", "B D E", "C", "F G"]

    def test_an_ad_set_that_somebody_changed_does_not_keep_the_others_waiting(self, business: Business) -> None:
        """A person comes behind a lost write: what is of ours is re-published first."""
        business.adsets("ABCD", breakage=Breakage.ordinary(seconds=7))
        adset = business.ids["C"]
        business.world.meta.fail(faults.DROPPED, on=lambda call: (call.method, call.path) == ("POST", adset))

        def person_comes(call: Operation) -> None:
            if (call.method, call.path) == ("POST", adset):
                business.world.meta.on_request = None
                business.world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})

        business.world.meta.on_request = person_comes

        assert business.run() == {"updated": "A B D", "superseded": "C"}


class TestCanaries:
    """What the first ad sets say about the day."""

    def test_where_nothing_is_left_nothing_is_stopped(self, business: Business) -> None:
        """Two that were put back are no failure of the run."""
        business.adsets("AB", bad="AB")

        assert business.run() == {"reverted": "A B"}
        assert business.errors == ""

    def test_a_second_canary_follows_a_bad_one(self, business: Business) -> None:
        """One bad ad set never blocks the others."""
        business.adsets("ABCDEF", bad="A")

        assert business.run() == {"reverted": "A", "updated": "B C D E F"}
        assert business.waves == ["A", "A", "B", "C D E F"]
        assert business.result["success"]
        business.assert_nothing_half_done()

    def test_two_bad_ones_in_a_row_stop_the_campaign(self, business: Business) -> None:
        """Meta breaks everything today: the rest is not touched, and the run fails."""
        business.adsets("ABCDEF", bad="ABCDEF")

        assert business.run() == {"reverted": "A B", "held": "C D E F"}
        assert business.written == "A B"
        assert business.errors.startswith("Stopped: 2 ad sets in a row")
        assert "stopped before its turn" in business.issues("C")
        business.assert_nothing_half_done()

    def test_a_refusal_of_one_ad_set_is_no_rollback(self, business: Business) -> None:
        """Meta refuses something about the first three: the next is a canary, and one bad one does not stop."""
        business.adsets("ABCDEFG", bad="D")
        business.world.meta.fail(
            faults.INTEREST_RETIRED,
            on=lambda call: call.method == "POST" and call.object_id in [business.ids[name] for name in "ABC"],
            times=None,
        )

        assert business.run() == {"failed": "A B C", "reverted": "D", "updated": "E F G"}
        assert business.waves == ["D", "D", "E", "F G"]
        assert "Stopped" not in business.errors

    def test_a_refusal_between_two_bad_canaries_does_not_part_them(self, business: Business) -> None:
        """They are still two in a row of those that were tried."""
        business.adsets("ABCDE", bad="AC")
        business.world.meta.fail(
            faults.AUDIENCE_FLAGGED, on=lambda call: (call.method, call.path) == ("POST", business.ids["B"])
        )

        assert business.run() == {"reverted": "A C", "failed": "B", "held": "D E"}

    def test_a_canary_whose_ads_cannot_be_read_is_none_to_follow(self, business: Business) -> None:
        """Not to know how it is after the update is as bad as to know that it is not well."""
        business.adsets("ABCDE")
        business.world.meta.fail(
            faults.SERVICE_UNAVAILABLE, on=lambda call: call.path == f"{business.ids['A']}/ads", times=None
        )

        assert business.run() == {"unverified": "A", "updated": "B C D E"}
        assert business.waves == ["A", "B", "C D E"]

    def test_a_rollback_that_fails_counts_like_one_that_does_not(self, business: Business) -> None:
        """Two ad sets that are worse than before are more than enough."""
        business.adsets("ABCD", breakage=Breakage.incurable())

        assert business.run() == {"rollback_failed": "A B", "held": "C D"}


class TestBadWaves:
    """How many of a wave may break."""

    def test_half_of_a_wave_stops_the_campaign(self, business: Business) -> None:
        """Those that are well stay updated, the broken ones are put back, the rest is held."""
        business.adsets("ABCDEFGH", bad="CE")

        assert business.run() == {"updated": "A B D", "reverted": "C E", "held": "F G H"}
        assert business.errors == ("Stopped: 2 of the 4 ad sets of a wave had to be put back or could not be verified")
        assert business.written == "A B C D E"
        business.assert_nothing_half_done()

    def test_less_than_half_does_not(self, business: Business) -> None:
        """One bad one in each wave of four: all others are updated, and the run succeeds."""
        business.adsets("ABCDEFGHI", bad="CF")

        assert business.run() == {"updated": "A B D E G H I", "reverted": "C F"}
        assert business.result["success"]
        business.assert_nothing_half_done()

    def test_those_of_a_wave_are_put_back_together(self, business: Business) -> None:
        """Three of eight: one batch of re-publishes and one wait for them all."""
        business.world.put({"limits/wave_size": "8"})
        business.adsets("ABCDEFGHI", bad="CEG")

        assert business.run() == {"updated": "A B D F H I", "reverted": "C E G"}
        assert business.waves == ["A", "B C D E F G H I", "C E G"]
        assert business.world.time.waits == [3, 3, 3]

    def test_two_that_went_alone_stop_the_campaign_too(self, business: Business) -> None:
        """Where waves are of one."""
        business.world.put({"limits/wave_size": "1"})
        business.adsets("ABCDEFG", bad="BDE")

        assert business.run() == {"updated": "A C", "reverted": "B D E", "held": "F G"}
        assert business.errors.startswith("Stopped: 2 ad sets in a row")

    @pytest.mark.parametrize("bad", ["AB", "BC", "C"])
    def test_with_nothing_left_nothing_is_stopped(self, business: Business, bad: str) -> None:
        """What was put back is reported, and is no failure of the campaign."""
        business.adsets("AB" if bad == "AB" else "ABC", bad=bad)

        assert set(business.run()) <= {"reverted", "updated"}
        assert business.result["success"]


class TestMemory:
    """Ad sets that had to be put back on other days."""

    def test_those_that_were_put_back_go_last(self, business: Business) -> None:
        """So they are neither canaries nor spoil the others' waves."""
        business.world.put({"limits/wave_size": "1"})
        business.adsets("ABCDEF", bad="AC")
        assert business.run() == {"reverted": "A C", "updated": "B D E F"}
        business.adsets("XYZ")
        business.world.time.next_day()

        assert business.run() == {"reverted": "A C", "updated": "X Y Z", "unchanged": "B D E F"}
        assert business.waves == ["X", "Y", "Z", "A", "A", "C", "C"]

    def test_after_two_runs_in_a_row_it_is_left_alone(self, business: Business) -> None:
        """Each try restarts its learning phase; a person has to look, and is told what to do."""
        business.adsets("ABC", bad="A")
        for _ in range(2):
            assert "A" in business.run()["reverted"]
            told = business.world.sandbox.aws.mails[-1].text
            assert "An update is tried on two runs." in told
            business.world.time.next_day()

        assert business.run() == {"needs_attention": "A", "unchanged": "B C"}
        assert business.written == ""
        assert "put back on 2 runs in a row" in business.issues("A")
        assert '"force": ["reverted_before"]' in business.issues("A")
        assert business.result["success"]

    def twice_put_back(self, business: Business) -> None:
        """Let A be put back on two days; on the third it would be well."""
        business.adsets("AB", bad="A")
        for _ in range(2):
            business.run()
            business.world.time.next_day()
        business.heal("A")

    def test_force_tries_it_again(self, business: Business) -> None:
        """Once a person has seen to it."""
        self.twice_put_back(business)

        assert business.run({**LIVE, "force": ["reverted_before"]}) == {"updated": "A", "unchanged": "B"}

    def test_another_demand_tries_it_again(self, business: Business) -> None:
        """Other states may do no harm."""
        self.twice_put_back(business)
        business.want("FL GA")

        assert business.run() == {"updated": "A B"}

    def test_it_is_left_alone_only_for_the_same_states_twice(self, business: Business) -> None:
        """Put back for one demand and then for another: the count starts anew."""
        business.adsets("AB", bad="A")
        for demand in ("FL", "GA", "OH", "GA"):
            business.want(demand)
            assert business.run() == {"reverted": "A", "updated": "B"}
            business.world.time.next_day()
        assert business.run() == {"reverted": "A", "unchanged": "B"}
        business.world.time.next_day()

        assert business.run() == {"needs_attention": "A", "unchanged": "B"}

    def test_a_success_is_forgotten_with_what_was_before(self, business: Business) -> None:
        """Once bad, then good, then bad: that is the first time in a row."""
        business.adsets("AB", bad="A")
        business.run()
        business.world.time.next_day()
        business.heal("A")
        assert business.run() == {"updated": "A", "unchanged": "B"}
        assert entries(business.world, "MEMORY#") == []
        for demand in ("TX", "FL"):
            business.want(demand)
            business.world.time.next_day()
            for ad in business.world.meta.ads_of(business.ids["A"]):
                ad.breakage = Breakage.stubborn() if demand == "FL" else None
            business.run()
        business.world.time.next_day()

        assert "A" in business.run()["reverted"]

    def test_a_failed_try_by_force_counts_on(self, business: Business) -> None:
        """After the third time it is left alone as before."""
        business.adsets("AB", bad="A")
        for force in ([], [], ["reverted_before"]):
            assert "A" in business.run({**LIVE, "force": force})["reverted"]
            business.world.time.next_day()

        assert business.run() == {"needs_attention": "A", "unchanged": "B"}
        assert "put back on 3 runs in a row" in business.issues("A")

    def test_a_dry_run_says_so_too_and_remembers_nothing(self, business: Business) -> None:
        """What would become of it is what a live run would make of it."""
        business.adsets("AB", bad="A")
        business.run()
        business.world.time.next_day()
        with only_reads(business.world):
            assert business.world.run({})["campaigns"][0]["adsets_updated"] == 1
        assert "A" in business.run()["reverted"]
        business.world.time.next_day()
        with only_reads(business.world):
            assert business.world.run({})["campaigns"][0]["adsets_needs_attention"] == 1


class TestDeferred:
    """Ad sets that a run left to the next."""

    def test_the_next_run_takes_them_first(self, business: Business) -> None:
        """Else the last ones might never have their turn."""
        business.world.put({"limits/max_adsets": "2", "limits/wave_size": "1"})
        business.adsets("ABCDE")
        assert business.run() == {"updated": "A B", "deferred": "C D E"}
        business.world.time.next_day()
        business.want("GA")

        assert business.run() == {"updated": "C D", "deferred": "A B E"}
        business.world.time.next_day()
        assert business.run() == {"updated": "A B", "unchanged": "C D", "deferred": "E"}

    def test_what_was_done_is_no_longer_remembered(self, business: Business) -> None:
        """The order is then as it was."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("AB")
        business.run()
        business.world.time.next_day()
        assert business.run() == {"updated": "B", "unchanged": "A"}
        business.world.time.next_day()
        business.want("GA")

        assert business.run() == {"updated": "A", "deferred": "B"}

    def test_a_dry_run_leaves_it_as_it_is(self, business: Business) -> None:
        """It says what the next live run would take first, and that stays so."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("AB")
        business.run()
        business.world.time.next_day()
        business.want("GA")

        with only_reads(business.world):
            answer = business.world.run({"dry_run": True})

        assert [each["name"] for each in answer["campaigns"][0]["adsets"] if each["result"] == "updated"] == ["B"]

    def test_a_ledger_that_cannot_note_it_is_no_failure(self, business: Business) -> None:
        """They have their turn all the same, only not first."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("AB")
        business.world.sandbox.aws.fail("dynamodb", "PutItem", "InternalServerError", 500, times=None, skip=1)

        assert business.run() == {"updated": "A", "deferred": "B"}
        assert business.result["success"]


class TestQuota:
    """Meta allows only so many points in five minutes; an account of the limited tier sixty."""

    @pytest.mark.parametrize("bad", ["", "A"])
    def test_a_limited_account_is_never_asked_too_much(self, business: Business, bad: str) -> None:
        """Whole ad sets are updated, after waits as the deadline allows; the rest is left to the next runs."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGHIJKLMNOP", bad=bad)

        came_to = business.run()

        assert len(came_to["updated"].split()) > 8
        assert came_to["deferred"]
        assert "Meta's quota for act_111 is used up" in business.issues(came_to["deferred"][0])
        assert business.result["success"]
        assert business.world.time.seconds() <= business.world.time.deadline - 10
        business.assert_nothing_half_done()
        assert business.refused == []
        business.world.time.next_day()
        business.heal(bad)
        assert set(business.run()) == {"updated", "unchanged"}
        assert business.refused == []

    def test_with_too_little_time_for_a_wait_the_rest_is_deferred_at_once(self, business: Business) -> None:
        """Nobody waits for what cannot be finished then."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGH")
        business.world.time.deadline = business.world.time.seconds() + 290

        came_to = business.run()

        assert set(came_to) == {"updated", "deferred"}
        assert set(business.world.time.waits) == {3}
        business.assert_nothing_half_done()

    def test_what_others_have_used_counts(self, business: Business) -> None:
        """Another program is at work on the account: its points are waited for before anything is begun."""
        business.world.meta.add_account("act_111", "limited")
        business.world.meta.spend("act_111", 50)
        business.adsets("AB")

        assert business.run() == {"updated": "A B"}
        assert business.world.time.waits[0] == pytest.approx(300, abs=10)
        assert business.refused == []

    @pytest.mark.parametrize("percent", [97, 100])
    def test_other_quotas_in_the_same_header_do_not_count(self, business: Business, percent: int) -> None:
        """The header has up to 32 objects and several kinds; only ads_management of this account is ours."""
        full = [use_case(kind, percent, minutes=40) for kind in ("ads_insights", "pages", "custom_audience")]
        others = {"111": full, "222": [use_case("ads_management", percent, minutes=40), *full]}
        business.world.meta.accounts["act_111"].other_usage = others
        business.adsets("ABC")

        assert business.run() == {"updated": "A B C"}
        assert business.world.time.waits == [3, 3]

    def test_a_run_that_could_do_nothing_warns(self, business: Business) -> None:
        """All that was to be done was deferred: that is not what a tick means."""
        business.world.meta.accounts["act_111"].other_usage = {"111": [use_case("ads_management", 100, minutes=40)]}
        business.adsets("ABC")

        assert business.run() == {"deferred": "A B C"}
        (mail,) = business.world.sandbox.aws.mails
        assert "⚠ 3 left for the next run" in mail.subject

    def test_two_campaigns_of_one_account_share_its_quota(self, business: Business) -> None:
        """What one has used the other does not have."""
        business.world.meta.add_account("act_111", "limited")
        business.world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
        for name in "XYZ":
            business.ids[name] = business.world.adset(name, campaign=MORTGAGE_1)
        business.adsets("ABC")

        assert business.run() == {"updated": "A B C X Y Z"}
        assert business.refused == []
        assert max(business.world.time.waits) > 200

    @pytest.mark.parametrize(("ads", "result"), [(8, "updated"), (9, "needs_attention")])
    def test_what_the_tier_never_allows_is_not_begun(self, business: Business, ads: int, result: str) -> None:
        """Sixty points are enough for eight ads, rollback included; with more the advice is what a person can do."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("A", ads=ads)
        business.adsets("B")

        came_to = business.run()

        assert came_to.get(result, "")[:1] == "A"
        assert "B" in came_to["updated"]
        assert business.refused == []
        if result == "needs_attention":
            assert "takes 66 points" in business.issues("A")
            assert "the access tier allows 60 in five minutes" in business.issues("A")
            assert "Ask Meta for full access, or give it fewer ads" in business.issues("A")
            assert business.names(business.world.meta.writes) == "B"

    def test_a_full_account_hardly_ever_waits(self, business: Business) -> None:
        """The wave is as large as the limit says."""
        business.world.put({"limits/wave_size": "25"})
        business.adsets("ABCDEFGHIJKLMN", ads=4)

        assert business.run() == {"updated": "A B C D E F G H I J K L M N"}
        assert business.world.time.waits == [3, 3]

    def test_a_wave_is_as_large_as_the_quota_allows(self, business: Business) -> None:
        """Others have left room for two of the wave of four."""
        business.adsets("ABCDE")
        business.world.meta.spend("act_111", 9_000 - 14 - 60)

        assert business.run() == {"updated": "A B C D E"}
        assert [len(wave.split()) for wave in business.waves][:2] == [1, 2]
        assert business.refused == []

    def test_a_recheck_keeps_within_the_quota_too(self, business: Business) -> None:
        """The ads of ten ad sets break later: they are put back as the quota allows, and never half."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGHIJ", breakage=Breakage.late(600))
        business.run()
        business.world.time.pass_by(1200)
        business.world.time.deadline = business.world.time.seconds() + 900

        business.run(RECHECK)

        assert business.refused == []


class TestDeadline:
    """An invocation ends when it ends."""

    def open(self, business: Business, seconds: float, pace: float, count: int = 20, bad: int = 0) -> None:
        """Have so many seconds, and so many ad sets, some of them bad; each exchange with Meta takes `pace`."""
        for number in range(1, count + 1):
            is_bad = bad and number % bad == 0
            business.ids[f"N{number}"] = business.world.adset(
                f"N{number}", breakage=Breakage.stubborn() if is_bad else None
            )
        business.world.slow_down(pace)
        business.world.time.deadline = business.world.time.seconds() + seconds

    @pytest.mark.parametrize("bad", [0, 5], ids=["well", "every fifth bad"])
    @pytest.mark.parametrize(("seconds", "pace"), [(25, 0.05), (30, 0.1), (40, 0.3), (60, 0.5), (90, 1.5)])
    def test_whatever_is_begun_is_finished_in_time(
        self, business: Business, seconds: float, pace: float, bad: int
    ) -> None:
        """Some are updated, the rest is deferred, none is half done, and there is time left for the mail."""
        self.open(business, seconds, pace, bad=bad)

        came_to = business.run()

        assert came_to["updated"]
        assert came_to.get("deferred") or seconds > 30
        assert set(came_to) <= {"updated", "deferred"} | ({"reverted", "held"} if bad else set())
        assert business.world.time.seconds() <= business.world.time.deadline - 10
        business.assert_nothing_half_done()
        assert len(business.world.sandbox.aws.mails) == 1

    def test_sixty_ad_sets_in_twenty_five_seconds(self, business: Business) -> None:
        """What fits is done, and the next run goes on."""
        business.world.put({"limits/wave_size": "25"})
        self.open(business, 25, 0.1, count=60)

        came_to = business.run()

        assert len(came_to["updated"].split()) >= 3
        assert came_to["deferred"]
        assert "Too little time" in business.issues(came_to["deferred"].split()[0])
        assert business.result["success"]
        business.assert_nothing_half_done()

    def test_in_the_last_seconds_meta_is_not_asked_at_all(self, business: Business) -> None:
        """They are for the report, which says so."""
        self.open(business, 5, 0.1, count=5)

        assert business.run() == {}
        assert "No time is left" in business.errors
        assert business.world.meta.operations == []
        assert len(business.world.sandbox.aws.mails) == 1

    @pytest.mark.parametrize("seconds", [11, 16])
    def test_with_too_little_time_for_anything_nothing_is_begun(self, business: Business, seconds: float) -> None:
        """All are deferred, unread and unwritten."""
        self.open(business, seconds, 0.1, count=5)

        assert business.run() == {"deferred": "N1 N2 N3 N4 N5"}
        assert sorted(operation.kind for operation in business.world.meta.operations) == ["ads", "adsets"]
        assert entries(business.world, "CHANGE#") == []

    def test_hardly_an_ad_set_is_looked_at_in_vain(self, business: Business) -> None:
        """A wave is as large as there is time for: who is looked at is written, but for the last wave at most."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        self.open(business, 45, 0.1)

        came_to = business.run()

        assert came_to["deferred"]
        assert len(business.batches("GET adset")) <= len(business.waves)

    def test_a_call_that_becomes_slow_amid_a_wave_is_reckoned_with(self, business: Business) -> None:
        """From the third ad set on everything takes two seconds: what is begun can still be put back."""
        self.open(business, 50, 0.05, bad=3)

        def slower(operation: Operation) -> None:
            if (operation.method, operation.path) == ("POST", business.ids["N3"]):
                business.world.slow_down(2)

        business.world.meta.on_request = slower

        assert business.run()["deferred"]
        assert business.world.time.seconds() <= business.world.time.deadline - 10
        business.assert_nothing_half_done()


def test_a_stop_in_an_earlier_invocation_holds_for_the_rest_of_the_run(world: World) -> None:
    """And says the same, whatever this one would meet."""
    job = Job("veterans", EARLIER, Action.SYNC, world.api(), ledger(world), 0, lambda: None)
    failed = AdSetResult("502", "Narrow", Result.REVERTED)

    ending = carry_out(job, [CHANGE], 4, [[failed]] * rollout.MAX_FAILED_CANARIES)

    assert ending.results == {"501": CHANGE.to_result(Result.HELD, ("The campaign was stopped before its turn",))}
    assert "in a row had to be put back" in ending.stopped


def test_the_log_tells_of_each_wave_and_what_became_of_each_ad_set(world: World, log: StringIO) -> None:
    """Line by line, as far as the run has come."""
    world.campaign("FL")
    adset = world.adset("Broad")

    world.run(LIVE)

    assert logged(log, "wave.start", "campaign", "adsets", "left") == [("veterans", 1, 0)]
    keys = ("campaign", "adset", "adset_name", "result", "issues")
    assert logged(log, "adset.result", *keys) == [("veterans", adset, "Broad", "updated", [])]
