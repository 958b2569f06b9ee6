"""The daily job from the event to the result, against the sandbox."""

import json
from io import StringIO
from typing import Any

import pytest

from closrads.domain.changes import ChangeState
from closrads.errors import SyncFailed
from closrads.rollout import steps
from sandbox import closrtech
from sandbox.meta import MISSING_LEAD_FORM, Breakage, Effect, Operation, faults, oddities
from sandbox.meta import targeting as sandbox_targeting
from sandbox.server import Reply
from tests.ledger_world import later, ledger, left_behind, result_of
from tests.world import LIVE, MORTGAGE_1, MORTGAGE_2, START, VETERANS, World


def results(answer: dict[str, Any], slug: str = "veterans") -> dict[str, str]:
    """Return what became of each ad set of a campaign, by name."""
    (campaign,) = (campaign for campaign in answer["campaigns"] if campaign["slug"] == slug)
    return {adset["name"]: adset["result"] for adset in campaign["adsets"]}


def failed(world: World, event: Any = LIVE) -> str:
    """Run an event that must fail and return the one line per failed campaign."""
    with pytest.raises(SyncFailed) as caught:
        world.run(event)
    return str(caught.value)


def last_report(world: World) -> str:
    """Return the text of the last mail."""
    text: str = world.sandbox.aws.mails[-1].text
    return text


def let_the_plan_grow_old(world: World) -> None:
    """Have so much time pass after the plan is made that every ad set is looked at again before its write."""
    passed: list[bool] = []

    def wait(_: str) -> None:
        if not passed and any(request.path.endswith("/adsets") for request in world.meta.requests):
            passed.append(True)
            world.time.pass_by(6)

    world.meta.on_exchange = wait


class TestUpdate:
    """A day on which states come and go."""

    def test_every_ad_set_ends_with_the_demand(self, world: World) -> None:
        """Added, removed and unchanged are told apart, and ads are re-published exactly once."""
        world.campaign("FL GA OH")
        changed = world.adset("Changed", "TX FL", ads=3)
        right = world.adset("Right", "OH GA FL")

        answer = world.run(LIVE)

        assert results(answer) == {"Changed": "updated", "Right": "unchanged"}
        assert world.meta.states(changed) == world.meta.states(right) == {"FL", "GA", "OH"}
        assert world.written_adsets() == [changed]
        republished = [operation.object_id for operation in world.meta.writes if operation.kind == "ad"]
        assert republished == [ad.id for ad in world.meta.ads_of(changed)]
        (campaign,) = answer["campaigns"]
        assert (campaign["adsets_processed"], campaign["adsets_updated"], campaign["adsets_skipped"]) == (2, 1, 1)
        assert campaign["adsets"][0]["added"] == ["GA", "OH"]
        assert campaign["adsets"][0]["removed"] == ["TX"]
        assert campaign["active_states"] == ["FL", "GA", "OH"]
        assert answer["success"]
        assert answer["mail"] == "sent"

    def test_a_second_run_finds_nothing_to_do(self, world: World) -> None:
        """What was written is what is wanted, so the next run writes nothing."""
        world.campaign("FL GA")
        world.adset()
        world.run(LIVE)
        writes = len(world.meta.writes)

        answer = world.run(LIVE)

        assert results(answer) == {"Broad": "unchanged"}
        assert len(world.meta.writes) == writes

    def test_everything_else_in_the_targeting_stays(self, world: World) -> None:
        """Ages, audiences, nulls and keys nobody here knows survive the update."""
        world.campaign("FL")
        adset = world.adset()
        before = world.meta.targeting(adset)

        world.run(LIVE)

        after = world.meta.targeting(adset)
        before["geo_locations"].pop("regions")
        after["geo_locations"].pop("regions")
        assert after == before

    def test_the_result_is_plain_json(self, world: World) -> None:
        """The runtime can return it, and the shape is the documented one."""
        world.campaign("FL")
        world.adset()

        answer = json.loads(json.dumps(world.run(LIVE)))

        assert set(answer) == {
            "run_id", "action", "dry_run", "success", "started_at", "duration_ms", "campaigns", "recovered", "mail",
            "graph", "force", "left_to", "unexplained", "mail_refused", "notices",
            "switched_off", "reason", "plan_id", "plan_refused", "restarts_learning",
        }  # fmt: skip
        assert answer["started_at"] == "2026-05-04T10:30:00.000Z"
        assert answer["duration_ms"] == 3000
        assert answer["graph"] == {
            "round_trips": world.meta.round_trips,
            "operations": len(world.meta.operations),
            "points": world.meta.points,
        }

    def test_two_meta_campaigns_share_one_demand_call(self, world: World) -> None:
        """Mortgage's two Meta campaigns follow one feed that is asked once."""
        world.campaign("FL", slug="mortgage", meta_campaigns=(MORTGAGE_1, MORTGAGE_2), account="act_222")
        adsets = [world.adset("One", campaign=MORTGAGE_1), world.adset("Two", campaign=MORTGAGE_2)]

        answer = world.run(LIVE)

        assert results(answer, "mortgage") == {"One": "updated", "Two": "updated"}
        assert all(world.meta.states(adset) == {"FL"} for adset in adsets)
        assert len(world.sandbox.closrtech.requests) == 1

    def test_a_campaign_without_active_ad_sets_is_quiet(self, world: World) -> None:
        """Nothing to process is no error."""
        world.campaign("FL")
        world.adset(status="PAUSED")

        answer = world.run(LIVE)

        assert answer["campaigns"][0]["adsets_processed"] == 0
        assert world.meta.writes == []

    @pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
    def test_a_meta_campaign_that_is_gone_is_an_error(self, world: World, status: str) -> None:
        """Its successor has another id and follows no demand; the campaign's other Meta campaigns get their states."""
        world.campaign("FL", meta_campaigns=(VETERANS, MORTGAGE_1))
        world.adset()
        other = world.adset(campaign=MORTGAGE_1)
        world.meta.campaigns[VETERANS].status = status

        result = result_of(world, LIVE)

        (error,) = result["campaigns"][0]["errors"]
        assert f"Meta campaign {VETERANS} (veterans leads) is {status.lower()}" in error
        assert "campaigns/veterans/fb_campaign_ids" in error
        assert world.meta.states(other) == {"FL"}

    @pytest.mark.parametrize("status", ["PAUSED", "ACTIVE"])
    def test_a_meta_campaign_that_is_only_off_is_quiet(self, world: World, status: str) -> None:
        """A person switches it on again; nor is it an error if its status cannot be read."""
        world.campaign("FL")
        world.meta.campaigns[VETERANS].status = status
        if status == "ACTIVE":
            world.meta.fail(faults.OBJECT_MISSING, on="GET campaign", times=None)

        assert world.run(LIVE)["success"]
        assert [operation.path for operation in world.meta.operations if operation.kind == "campaign"] == [VETERANS]

    def test_an_ad_set_without_ads_is_updated(self, world: World) -> None:
        """There is nothing to re-publish, and nothing that could break."""
        world.campaign("FL")
        adset = world.adset(ads=0)

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert world.meta.states(adset) == {"FL"}

    def test_no_ad_wakes_up_that_a_person_paused(self, world: World) -> None:
        """Only ads that were ACTIVE before are set to ACTIVE."""
        world.campaign("FL")
        adset = world.adset()
        paused = world.meta.add_ad(adset, "Retired", status="PAUSED")

        world.run(LIVE)

        assert world.meta.ads[paused].status == "PAUSED"
        assert paused not in {operation.object_id for operation in world.meta.writes}

    def test_unknown_states_are_named(self, world: World) -> None:
        """A code without a region is left out, reported, and no failure."""
        world.campaign("FL PR")
        adset = world.adset()

        answer = world.run(LIVE)

        assert world.meta.states(adset) == {"FL"}
        assert answer["campaigns"][0]["unmapped_states"] == ["PR"]
        assert "PR" in last_report(world)

    @pytest.mark.parametrize("name", ["Texas", " texas ", "TEXAS", "tx"])
    def test_a_full_name_is_the_state(self, world: World, name: str) -> None:
        """A feed that names a state in words neither loses it nor has it removed."""
        world.campaign({"OH": 5, name: 3})
        adset = world.adset("Broad", "TX UT")

        answer = world.run(LIVE)

        assert world.meta.states(adset) == {"OH", "TX"}
        assert answer["campaigns"][0]["active_states"] == ["OH", "TX"]
        assert answer["campaigns"][0]["unmapped_states"] == []

    def test_a_name_that_cannot_be_read_removes_nothing(self, world: World, log: StringIO) -> None:
        """It may mean any of the states that are missing: they stay, others are added, and both are told."""
        world.campaign({"OH": 5, "Texs": 3, "PR": 1})
        adset, covered = world.adset("Broad", "TX UT"), world.adset("Covered", "OH TX")
        world.campaign("FL", slug="mortgage", meta_campaigns=(MORTGAGE_1,))
        other = world.adset("Other", "TX", campaign=MORTGAGE_1)

        answer = world.run(LIVE)

        assert results(answer) == {"Broad": "updated", "Covered": "unchanged"}
        assert world.meta.states(adset) == {"OH", "TX", "UT"}
        assert world.meta.states(covered) == {"OH", "TX"}
        assert world.meta.states(other) == {"FL"}
        assert answer["success"]
        assert "No state is taken out of these ad sets" in last_report(world)
        assert "TEXS" in last_report(world)
        (line,) = (
            line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "demand.unreadable"
        )
        assert (line["campaign"], line["entries"]) == ("veterans", ["TEXS"])

    def test_what_cannot_be_read_keeps_only_what_is_there_at_the_write(self, world: World) -> None:
        """A state that a person has removed after the plan was made is not added again."""
        world.campaign({"OH": 5, "Texs": 3})
        adset = world.adset("Broad", "TX UT")

        def remove(_: str) -> None:
            if any(request.path.endswith("/adsets") for request in world.meta.requests):
                world.meta.on_exchange = None
                world.meta.person_edits_targeting(adset, states="TX", published=True)
                world.time.pass_by(6)

        world.meta.on_exchange = remove
        world.run(LIVE)

        assert world.meta.states(adset) == {"OH", "TX"}

    def test_a_plan_that_removes_nothing_is_not_implausible(self, world: World) -> None:
        """Only what would really be removed counts for max_removed_pct."""
        world.campaign({"OH": 5, "Texs": 3})
        adset = world.adset("Broad", "AL AK AZ AR CA CO CT DE FL GA HI")

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert len(world.meta.states(adset)) == 12

    def test_an_app_secret_is_used(self, world: World) -> None:
        """With the secret every call carries its proof."""
        world.meta.app_secret = "fakesecret"
        world.put({"meta/app_secret": "fakesecret"})
        world.campaign("FL")
        world.adset()

        assert results(world.run(LIVE)) == {"Broad": "updated"}


class TestLooking:
    """Runs that must not write."""

    def test_a_dry_run_says_what_would_change_and_writes_nothing(self, world: World) -> None:
        """The result reads as the live run's would; Meta sees reads only."""
        world.campaign("FL GA")
        adset = world.adset()

        answer = world.run({})

        assert answer["dry_run"]
        assert results(answer) == {"Broad": "updated"}
        assert {operation.method for operation in world.meta.operations} == {"GET"}
        assert world.meta.states(adset) == {"TX"}
        assert world.time.waits == []
        assert world.sandbox.aws.mails[-1].subject == "[DRY RUN] ✓ 1 would be updated · Mon 4 May"

    def test_only_the_named_campaigns_run(self, world: World) -> None:
        """A resync of one campaign leaves the others in peace."""
        world.campaign("FL")
        world.campaign("FL", slug="truckers", meta_campaigns=("120200000000000905",))

        answer = world.run({"campaigns": ["truckers"]})

        assert [campaign["slug"] for campaign in answer["campaigns"]] == ["truckers"]
        assert len(world.sandbox.closrtech.requests) == 1

    def test_a_campaign_that_is_switched_off_does_not_run(self, world: World) -> None:
        """One parameter pauses a campaign."""
        world.campaign("FL")
        world.put({"campaigns/veterans/enabled": "false"})

        assert world.run(LIVE)["campaigns"] == []
        assert world.sandbox.closrtech.requests == []


class TestLeftAlone:
    """Ad sets that are not touched."""

    @pytest.mark.parametrize("event", [{}, LIVE])
    def test_a_broken_ad_before_the_run(self, world: World, event: Any) -> None:
        """Layer 1: the ad set is skipped and its ad named, and the others go on."""
        world.campaign("FL")
        sick = world.adset("Sick")
        world.meta.add_ad(sick, "Lost form", issues=[MISSING_LEAD_FORM])
        world.adset("Well")

        answer = world.run(event)

        assert results(answer) == {"Sick": "skipped_preflight", "Well": "updated"}
        assert sick not in world.written_adsets()
        assert answer["success"]
        assert "Lost form" in last_report(world)
        assert "3390001" in last_report(world)

    @pytest.mark.parametrize("status", ["PAUSED", "PENDING_REVIEW"])
    def test_ads_that_do_not_run_are_not_said_to(self, world: World, status: str) -> None:
        """Somebody has paused them, or Meta reviews them: all that is known is that the states are right."""
        world.campaign("FL")
        adset = world.adset(states="FL")
        for ad in world.meta.ads_of(adset):
            if status == "PAUSED":
                world.meta.person_pauses(ad.id)
            else:
                ad.effective_status = status

        world.run(LIVE)

        assert "Nothing to do: all ad sets have today's states." in last_report(world)

    def test_an_ad_that_meta_has_paused_before_the_run(self, world: World) -> None:
        """It is on and does not run, so after a change it would count as broken by it, and be put back in vain."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.ads_of(adset)[0].effective_status = "PAUSED"

        answer = world.run(LIVE)

        assert results(answer) == {"Broad": "skipped_preflight"}
        assert world.meta.writes == []
        assert "was switched off by Meta" in last_report(world)

    def test_contradictory_targeting(self, world: World) -> None:
        """It is never flattened."""
        world.campaign("FL")
        adset = world.adset("Zips", None, targeting={"geo_locations": {"zips": [{"key": "US:44101"}]}})
        before = world.meta.targeting(adset)

        answer = world.run(LIVE)

        assert results(answer) == {"Zips": "needs_attention"}
        assert world.meta.targeting(adset) == before
        assert answer["success"]

    @pytest.mark.parametrize("status", ["IN_PROCESS", "WITH_ISSUES"])
    def test_an_ad_set_in_process_or_with_issues(self, world: World, status: str) -> None:
        """It is listed, not processed."""
        world.campaign("FL")
        world.adset("Busy", effective_status=status)

        answer = world.run(LIVE)

        assert results(answer) == {"Busy": "not_active"}
        assert answer["campaigns"][0]["adsets_processed"] == 0
        assert status in last_report(world)
        assert world.meta.writes == []

    def test_changes_beyond_max_adsets_wait_for_the_next_run(self, world: World) -> None:
        """The limit bounds one run, and the next one takes the rest."""
        world.campaign("FL")
        world.put({"campaigns/veterans/limits/max_adsets": "1"})
        world.adset("One")
        world.adset("Two")

        first, second = world.run(LIVE), world.run(LIVE)

        assert results(first) == {"One": "updated", "Two": "deferred"}
        assert results(second) == {"One": "unchanged", "Two": "updated"}

    def test_no_ad_set_is_begun_that_cannot_be_finished(self, world: World) -> None:
        """With less time left than one ad set may need, the rest is deferred whole."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "30"})
        for name in ("One", "Two", "Three"):
            world.adset(name)
        world.time.deadline = world.time.seconds() + 100

        answer = world.run(LIVE)

        assert results(answer) == {"One": "updated", "Two": "deferred", "Three": "deferred"}
        assert "Too little time" in last_report(world)
        assert answer["success"]


class TestRollback:
    """Ads that break after the update."""

    @pytest.mark.parametrize(
        "breakage",
        [
            Breakage.stubborn(),
            Breakage.cured_by_rollback(),
            Breakage.silently_paused(),
            Breakage.stubborn(Effect.PAUSED),
        ],
        ids=["stubborn", "cured by rollback", "silently paused", "paused"],
    )
    def test_the_ad_set_is_put_back(self, world: World, breakage: Breakage) -> None:
        """Targeting and ads are as before, the others are updated, and the run succeeds."""
        world.campaign("FL")
        fragile = world.adset("Fragile", breakage=breakage)
        before = world.meta.targeting(fragile)
        sound = world.adset("Sound")

        answer = world.run(LIVE)

        assert results(answer) == {"Fragile": "reverted", "Sound": "updated"}
        assert world.meta.targeting(fragile) == before
        assert {ad.effective_status for ad in world.meta.ads_of(fragile)} == {"ACTIVE"}
        assert world.meta.states(sound) == {"FL"}
        assert answer["success"]
        assert "targeting was restored" in last_report(world)

    def test_a_republish_in_time_prevents_the_breakage(self, world: World) -> None:
        """The ordinary case: Meta's remedy works."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.ordinary(seconds=1))

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert {ad.effective_status for ad in world.meta.ads_of(adset)} == {"ACTIVE"}

    @pytest.mark.parametrize("breakage", [Breakage.long_review(), Breakage.warning()], ids=["review", "soft error"])
    def test_review_and_warnings_are_no_breakage(self, world: World, breakage: Breakage) -> None:
        """A pending review or a SOFT_ERROR never takes an update back."""
        world.campaign("FL")
        adset = world.adset(breakage=breakage)

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert world.meta.states(adset) == {"FL"}

    def test_a_rollback_that_does_not_cure_is_the_loudest_line(self, world: World) -> None:
        """The targeting is back, the broken ad is named, and the run fails."""
        world.campaign("FL")
        adset = world.adset("Doomed", breakage=Breakage.incurable())

        said = failed(world)

        assert "rollback_failed" in said
        assert world.meta.states(adset) == {"TX"}
        mail = world.sandbox.aws.mails[-1]
        assert mail.subject == "✗ NOT RESTORED in Veterans · Mon 4 May"
        assert mail.text.index("NOT RESTORED") < mail.text.index("=== Veterans")
        assert "Doomed: ad 1" in mail.text

    def test_a_rollback_that_meta_refuses_says_not_restored(self, world: World) -> None:
        """The mail says plainly that the targeting was not restored."""
        world.campaign("FL")
        world.adset(breakage=Breakage.stubborn())
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset", skip=1)

        assert "NOT restored" in failed(world)
        assert "NOT restored" in last_report(world)

    @pytest.mark.parametrize(
        ("changes", "word", "leaves"),
        [
            ({"age_min": 21}, "reverted", {"TX"}),
            ({"geo_locations": {"regions": [{"key": "3853"}]}}, "superseded", {"GA"}),
        ],
        ids=["age", "states"],
    )
    def test_a_change_by_somebody_else_survives_the_rollback(
        self, world: World, changes: dict[str, Any], word: str, leaves: set[str]
    ) -> None:
        """States that are neither the old nor ours stay; anything else of the targeting stays, with the old states."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.stubborn())

        def interfere(operation: Operation) -> None:
            if operation.kind == "ad" and operation.method == "POST":
                world.meta.on_request = None
                world.meta.change_by_hand(adset, changes)

        world.meta.on_request = interfere

        (result,) = result_of(world, LIVE)["campaigns"][0]["adsets"]
        assert (result["result"], world.meta.states(adset)) == (word, leaves)
        assert world.meta.targeting(adset)["age_min"] == changes.get("age_min", 18)
        assert len(world.written_adsets()) == (2 if word == "reverted" else 1)

    def test_what_a_person_did_since_the_plan_counts(self, world: World) -> None:
        """A pause, a change or a broken ad that came after the plan was made is seen before the write."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "6"})
        first = world.adset("First")
        paused, zips, broken, done = (world.adset(name) for name in ("Paused ad", "Zips", "Broken", "Completed"))
        (ad, _) = world.meta.ads_of(paused)

        def people_come(operation: Operation) -> None:
            if (operation.method, operation.object_id) == ("POST", first):
                world.meta.on_request = None
                world.meta.person_pauses(ad.id)
                world.meta.change_by_hand(zips, {"geo_locations": {"zips": [{"key": "US:44101"}]}})
                world.meta.ads_of(broken)[0].issues.append(dict(MISSING_LEAD_FORM))
                world.meta.change_by_hand(done, {"age_max": 40, "geo_locations": {"regions": [{"key": "3852"}]}})

        world.meta.on_request = people_come

        assert results(world.run(LIVE)) == {
            "First": "updated",
            "Paused ad": "updated",
            "Zips": "needs_attention",
            "Broken": "skipped_preflight",
            "Completed": "unchanged",
        }
        assert ad.status == "PAUSED"
        assert world.written_adsets() == [first, paused]

    def test_states_that_meta_makes_something_else_of_are_taken_back(self, world: World) -> None:
        """What Meta's own answer to the write shows is ours, wanted or not, so it can be put back."""
        world.campaign("FL GA")
        adset = world.adset()

        def drop_a_state(operation: Operation) -> None:
            if operation.method == "POST" and operation.kind == "adset":
                world.meta.on_request = None
                wanted = json.loads(operation.params["targeting"])
                del wanted["geo_locations"]["regions"][0]
                operation.params["targeting"] = json.dumps(wanted)

        world.meta.on_request = drop_a_state

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    def test_a_rollback_that_meta_makes_something_else_of_says_not_restored(self, world: World) -> None:
        """Only the states of before count as restored."""
        world.campaign("FL")
        world.adset(states="TX OH", breakage=Breakage.stubborn())

        def drop_ohio(operation: Operation) -> None:
            if operation.method == "POST" and "3886" in operation.params.get("targeting", ""):
                targeting = json.loads(operation.params["targeting"])
                targeting["geo_locations"]["regions"] = [{"key": "3886"}]
                operation.params["targeting"] = json.dumps(targeting)

        world.meta.on_request = drop_ohio

        assert "NOT restored" in failed(world)

    def test_a_change_by_somebody_else_after_a_lost_answer_survives_the_rollback(self, world: World) -> None:
        """Our write arrived, its answer was lost, a person changed the age meanwhile: only the states are put back."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.stubborn())
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "GET":
                world.meta.on_request = None
                world.meta.change_by_hand(adset, {"age_min": 21})

        world.meta.on_request = person_comes

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.targeting(adset)["age_min"] == 21
        assert world.meta.states(adset) == {"TX"}

    def test_a_confirmed_write_that_cannot_be_seen_is_taken_back(self, world: World) -> None:
        """Meta confirms, and its reads show the old states: whether it was made is unknown, so it is undone."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.stubborn())
        stale = _stale(world, adset)
        world.meta.fail(faults.answer({"success": True}), on="POST adset", applied=True, times=3)
        world.meta.fail(stale, on="GET adset", times=None)

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}
        assert {ad.effective_status for ad in world.meta.ads_of(adset)} == {"ACTIVE"}

    @pytest.mark.parametrize("parent", ["campaign", "ad set"])
    def test_a_parent_paused_by_a_person_is_no_damage(self, world: World, parent: str) -> None:
        """Somebody pauses the campaign or the ad set while it is updated: nothing is taken back for that."""
        world.campaign("FL")
        adset = world.adset()

        def person_comes(operation: Operation) -> None:
            if operation.kind == "ad" and operation.method == "POST":
                node = world.meta.campaigns[VETERANS] if parent == "campaign" else world.meta.adsets[adset]
                node.status = "PAUSED"

        world.meta.on_request = person_comes

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert world.written_adsets() == [adset]

    def test_a_failed_republish_takes_the_update_back(self, world: World) -> None:
        """Without layer 2 the ad set is not protected, so it does not keep the new targeting."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.error(2490427, None, "rejected"), on="POST ad")

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    def test_unreadable_is_neither_good_nor_bad(self, world: World) -> None:
        """An update whose ads cannot be read is not taken back, and not called a success."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=lambda op: op.path == f"{adset}/ads", times=None)

        assert "unverified" in failed(world)
        assert world.meta.states(adset) == {"FL"}


class TestTrouble:
    """Failures of the systems around."""

    def test_one_campaigns_failure_never_stops_another(self, world: World) -> None:
        """The feed of one campaign fails; the other is updated; the run fails after its report."""
        world.campaign("FL")
        adset = world.adset()
        world.campaign("FL", slug="truckers", meta_campaigns=("120200000000000905",))
        world.sandbox.closrtech.misbehave(closrtech.HTML, campaign="VND_TRUCKERS_LEADS")

        said = failed(world)

        assert said.startswith("Truckers: CLOSRTECH's answer for VND_TRUCKERS_LEADS is an HTML page")
        assert len(said.splitlines()) == 1
        assert world.meta.states(adset) == {"FL"}
        assert world.sandbox.aws.mails[-1].subject == "✗ Truckers failed · Mon 4 May"

    @pytest.mark.parametrize("demand", [{"FL": 0, "TX": "0"}, {}, {"FL": 0, "PR": 9}])
    def test_no_demand_is_never_an_instruction(self, world: World, demand: dict[str, Any]) -> None:
        """All zeros, an empty answer, or demand only where Meta has no region: nothing is touched."""
        world.campaign(demand)
        world.adset()

        failed(world)

        assert world.meta.writes == []

    def test_before_the_first_write_it_is_all_or_nothing(self, world: World) -> None:
        """If one of two Meta campaigns cannot be read, neither is changed."""
        world.campaign("FL", slug="mortgage", meta_campaigns=(MORTGAGE_1, MORTGAGE_2))
        world.adset("One", campaign=MORTGAGE_1)
        world.adset("Two", campaign=MORTGAGE_2)
        world.meta.fail(faults.OBJECT_MISSING, on=lambda operation: operation.path == f"{MORTGAGE_2}/adsets")

        assert MORTGAGE_2 in failed(world)
        assert world.meta.writes == []

    def test_after_the_first_write_each_ad_set_stands_alone(self, world: World) -> None:
        """One refused update is one failure; the ad set is as it was, the others are updated."""
        world.campaign("FL")
        bad, good = world.adset("Bad"), world.adset("Good")
        world.meta.fail(faults.AUDIENCE_FLAGGED, on=lambda op: op.method == "POST" and op.object_id == bad)

        assert "Bad" in failed(world)
        assert world.meta.states(bad) == {"TX"}
        assert world.meta.states(good) == {"FL"}

    def test_a_plan_that_takes_away_too_much_is_refused(self, world: World) -> None:
        """Nothing is written, in a dry run the refusal shows too, and force lifts it, visibly."""
        world.campaign("FL")
        adset = world.adset(states="AL AK AZ AR CA CO CT DE FL GA")

        assert "max_removed_pct" in failed(world)
        assert "max_removed_pct" in failed(world, {})
        assert world.meta.writes == []
        assert "Running now (10): AK, AL, AR, AZ, CA, CO, CT, DE, FL, GA" in last_report(world)
        answer = world.run({**LIVE, "force": ["max_removed_pct"]})
        assert answer["force"] == ["max_removed_pct"]
        assert world.meta.states(adset) == {"FL"}
        assert "Limits lifted for this run: " in last_report(world)

    @pytest.mark.parametrize("fault", [faults.PASSWORD_CHANGED, faults.PERMISSION_MISSING, faults.POLICY_BLOCK])
    def test_a_dead_token_or_a_block_stops_the_campaign(self, world: World, fault: Any) -> None:
        """One refusal is enough: the rest is held, not hammered."""
        world.campaign("FL")
        for name in ("One", "Two", "Three"):
            world.adset(name)
        world.meta.fail(fault, on="POST adset", times=None)

        said = failed(world)

        assert "Stopped" in said
        assert len([operation for operation in world.meta.operations if operation.method == "POST"]) == 1
        text = last_report(world)
        assert (text.count("\nNOT UPDATED"), text.count("* 2 ad sets (Veterans), each was not started")) == (1, 1)

    @pytest.mark.parametrize("fault", [faults.PERMISSION_MISSING, faults.POLICY_BLOCK])
    def test_a_refusal_of_the_republish_stops_the_campaign_too(self, world: World, fault: Any) -> None:
        """What Meta refuses for one ad set's ads it refuses for the next: no second ad set is tried."""
        world.campaign("FL")
        one, two = world.adset("One"), world.adset("Two")
        world.meta.fail(fault, on="POST ad", times=None)

        assert "Stopped" in failed(world)
        assert world.meta.states(one) == world.meta.states(two) == {"TX"}
        assert set(world.written_adsets()) == {one}
        assert last_report(world).count(" was not started") == 1

    def test_a_throttle_of_the_republish_defers_the_rest(self, world: World) -> None:
        """Without quota to protect it no further ad set is begun; links that stay pending are a failed rollback."""
        world.campaign("FL")
        one, two = world.adset("One"), world.adset("Two")
        world.meta.fail(faults.throttled_use_case(minutes=60), on="POST ad", times=None)

        answer = result_of(world, LIVE)

        assert results(answer) == {"One": "rollback_failed", "Two": "deferred"}
        assert set(world.written_adsets()) == {one}
        assert world.meta.states(one) == world.meta.states(two) == {"TX"}

    @pytest.mark.parametrize("on", ["ads", "write"])
    def test_what_a_person_does_during_a_wait_for_quota_counts(self, world: World, on: str) -> None:
        """After the wait the ad set is looked at again: a paused ad stays paused, a changed age stays changed."""
        let_the_plan_grow_old(world)
        world.campaign("FL")
        adset = world.adset(ads=3)
        ad = world.meta.ads_of(adset)[0]
        throttled = (lambda op: op.path == f"{adset}/ads") if on == "ads" else "POST adset"
        world.meta.fail(faults.throttled_account(300), on=throttled)

        def person_comes(_: Operation) -> None:
            if 300 in world.time.waits:
                world.meta.on_request = None
                world.meta.person_pauses(ad.id)
                world.meta.change_by_hand(adset, {"age_min": 25})

        world.meta.on_request = person_comes

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert (ad.status, world.meta.targeting(adset)["age_min"]) == ("PAUSED", 25)
        assert world.meta.states(adset) == {"FL"}

    def test_a_picture_that_cannot_be_taken_in_one_go_is_no_ground_for_a_write(self, world: World) -> None:
        """Each look at the ads takes long, so nobody knows what is true together: not updated today."""
        let_the_plan_grow_old(world)
        world.campaign("FL")
        adset = world.adset()

        def slow(operation: Operation) -> None:
            if operation.path == f"{adset}/ads":
                world.time.sleep(6)

        world.meta.on_request = slow

        assert "could not be read within 5 s" in failed(world)
        assert world.meta.writes == []

    @pytest.mark.parametrize("seconds", [60, 120])
    def test_a_wait_after_the_write_leaves_time_for_the_rollback(self, world: World, seconds: int) -> None:
        """The re-publish may wait for quota only as long as verification, rollback and mail still fit."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "30"})
        adset = world.adset(breakage=Breakage.stubborn())
        world.time.deadline = world.time.seconds() + 150
        world.meta.fail(faults.throttled_account(seconds), on="POST ad", times=2)

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}
        assert world.time.seconds() <= world.time.deadline - 10

    @pytest.mark.parametrize("on", ["GET adset", "POST adset"])
    def test_a_wait_for_quota_leaves_time_for_all_layers(self, world: World, on: str) -> None:
        """A throttle may be waited for only if the ad set can be seen through afterwards."""
        let_the_plan_grow_old(world)
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "60"})
        world.adset()
        world.time.deadline = world.time.seconds() + 170
        world.meta.fail(faults.throttled_use_case(minutes=2), on=on)

        assert results(world.run(LIVE)) == {"Broad": "deferred"}
        assert world.meta.writes == []

    @pytest.mark.parametrize("fault", [faults.OBJECT_MISSING, faults.OK_HTML])
    def test_an_ad_set_that_cannot_be_read_again_is_not_written(self, world: World, fault: Any) -> None:
        """Without a fresh look there is no write, and the others go on."""
        let_the_plan_grow_old(world)
        world.campaign("FL")
        one, two = world.adset("One"), world.adset("Two")
        world.meta.fail(fault, on=lambda op: (op.method, op.path) == ("GET", one), times=None)

        assert "One" in failed(world)
        assert (world.meta.states(one), world.meta.states(two)) == ({"TX"}, {"FL"})

    def test_a_stated_regain_time_is_waited_for(self, world: World) -> None:
        """Five minutes fit into the invocation, so the run waits and goes on."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.throttled_use_case(minutes=5), on="POST adset")

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert world.time.waits[0] == 300
        assert world.meta.states(adset) == {"FL"}

    def test_a_lost_answer_is_looked_up(self, world: World) -> None:
        """The write arrived although the connection dropped: it is not made twice."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert world.written_adsets() == [adset]

    @pytest.mark.parametrize(
        ("changes", "word", "leaves"),
        [
            ({"age_min": 21}, "updated", {"FL"}),
            ({"geo_locations": {"regions": [{"key": "3853"}]}}, "superseded", {"GA"}),
        ],
        ids=["age", "states"],
    )
    def test_a_change_by_somebody_else_after_a_lost_write_stays(
        self, world: World, changes: dict[str, Any], word: str, leaves: set[str]
    ) -> None:
        """A person came before the second attempt: other states stay, and onto another age it is written."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.DROPPED, on="POST adset")

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "POST":
                world.meta.on_request = None
                world.meta.change_by_hand(adset, changes)

        world.meta.on_request = person_comes

        (result,) = result_of(world, LIVE)["campaigns"][0]["adsets"]
        assert (result["result"], world.meta.states(adset)) == (word, leaves)
        assert world.written_adsets() == ([adset] if word == "updated" else [])
        assert world.meta.targeting(adset)["age_min"] == changes.get("age_min", 18)

    @pytest.mark.parametrize("trouble", [None, faults.OBJECT_MISSING, faults.PERMISSION_MISSING])
    def test_ads_are_protected_also_where_somebody_else_has_the_last_word(self, world: World, trouble: Any) -> None:
        """Our write arrived before the person's change: ads that still run are re-published, a paused one is not."""
        world.campaign("FL")
        adset = world.adset(ads=3, breakage=Breakage.lost_link(200))
        paused = world.meta.ads_of(adset)[0]
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        if trouble is faults.OBJECT_MISSING:
            world.meta.fail(trouble, on=lambda op: op.path == f"{adset}/ads", times=None)
        elif trouble:
            world.meta.fail(trouble, on="POST ad", times=None)

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "GET":
                world.meta.on_request = None
                world.meta.person_pauses(paused.id)
                world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3847"}]}})
                world.time.pass_by(6)

        world.meta.on_request = person_comes

        (result,) = result_of(world, LIVE)["campaigns"][0]["adsets"]
        assert (world.meta.states(adset), paused.status) == ({"CA"}, "PAUSED")
        if trouble:  # the links are pending, so it stays open for the next run
            assert result["result"] in {"unverified", "rollback_failed"}
            assert len(ledger(world).open_changes("veterans")) == 1
            world.meta.clear_faults()
            later(world, 50)
            (recovery,) = result_of(world, {**LIVE, "action": "recheck"})["recovered"]
            assert recovery["state"] == "superseded"
        else:
            assert result["result"] == "superseded"
        world.time.pass_by(300)
        world.meta.settle()
        assert [ad.effective_status for ad in world.meta.ads_of(adset)] == ["PAUSED", "ACTIVE", "ACTIVE"]
        assert world.meta.states(adset) == {"CA"}

    def test_a_defect_while_protecting_those_ads_still_tells_of_the_change(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What happened to the targeting is reported in any case."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.DROPPED, on="POST adset")

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "POST":
                world.meta.on_request = None
                world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3847"}]}})
                monkeypatch.setattr("closrads.rollout.steps.republish_ads", _defective)

        world.meta.on_request = person_comes

        assert "Unexpected ZeroDivisionError" in failed(world)

    def test_a_write_that_nobody_can_look_up_is_taken_back(self, world: World) -> None:
        """Meta falls silent right after the write; once it answers again, the ad set is put back."""
        world.campaign("FL")
        adset = world.adset()
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=7)

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    def test_meta_falling_silent_for_good_is_reported_as_such(self, world: World) -> None:
        """If even the rollback cannot be made, that is what the mail says first."""
        world.campaign("FL")
        world.adset()

        def silence(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "POST":
                world.meta.fail(faults.SERVICE_UNAVAILABLE, times=None)

        world.meta.on_request = silence
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)

        assert "rollback_failed" in failed(world)
        assert last_report(world).count("NOT known") == 1

    @pytest.mark.parametrize("function", ["republish_ads", "verify_ads_after_republish"])
    @pytest.mark.parametrize(("times", "word"), [(2, "reverted"), (100, "rollback_failed")])
    def test_a_defect_after_the_write_takes_it_back(
        self, world: World, monkeypatch: pytest.MonkeyPatch, function: str, times: int, word: str
    ) -> None:
        """Even a mistake of this package leaves no ad set in between; what it cannot prove it does not claim."""
        world.campaign("FL")
        adset = world.adset()
        right, calls = getattr(steps, function), iter(range(1, 1000))

        def defective(*args: Any, **more: Any) -> Any:
            return _defective() if next(calls) < times else right(*args, **more)

        monkeypatch.setattr(steps, function, defective)

        assert results(result_of(world, LIVE)) == {"Broad": word}
        assert world.meta.states(adset) == {"TX"}

    def test_a_defect_in_the_write_takes_it_back(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same, when nobody knows whether the write was made; the next ad set goes on."""
        world.campaign("FL")
        adset = world.adset()
        monkeypatch.setattr("closrads.rollout.forward.update_adset_geo", _defective)

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    @pytest.mark.parametrize("breakage", [None, Breakage.stubborn()], ids=["well", "broken"])
    def test_a_stale_read_in_the_rollback_does_not_end_it(self, world: World, breakage: Breakage | None) -> None:
        """A read that is older than the write makes it look put back already: it is put back all the same."""
        world.campaign("FL")
        adset = world.adset(breakage=breakage)
        stale = _stale(world, adset)
        world.meta.fail(stale, on="GET adset")
        world.meta.fail(faults.error(2490427, None, "rejected"), on="POST ad")

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}
        assert {ad.effective_status for ad in world.meta.ads_of(adset)} == {"ACTIVE"}

    @pytest.mark.parametrize("refusal", [faults.INTEREST_RETIRED, faults.throttled_account(6000)])
    def test_a_lost_write_that_a_stale_read_hides_is_undone(self, world: World, refusal: Any) -> None:
        """The write arrived, its answer was lost, a read does not show it yet, the second attempt is refused."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.stubborn())
        stale = _stale(world, adset)
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        world.meta.fail(stale, on="GET adset", times=3)
        world.meta.fail(refusal, on="POST adset")

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    def test_a_stale_read_before_a_lost_write_of_the_rollback_does_not_end_it(self, world: World) -> None:
        """The first look is older than our write, the next one is not: what it shows is ours, not somebody else's."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.stubborn())
        stale = _stale(world, adset)
        world.meta.fail(stale, on="GET adset")
        world.meta.fail(faults.DROPPED, on="POST adset", skip=1)

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    def test_a_lost_write_of_the_rollback_is_made_again(self, world: World) -> None:
        """Nothing can be told from states that look right before and after: only a confirmation counts."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.stubborn())
        stale = _stale(world, adset)
        world.meta.fail(faults.answer({"success": True}), on="POST adset", applied=True, times=3)
        world.meta.fail(faults.DROPPED, on="POST adset")
        world.meta.fail(stale, on="GET adset", times=None)

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    @pytest.mark.parametrize("step", ["closrads.rollout.wave.read_adsets", "closrads.ledger.changes.Ledger.prepare"])
    def test_a_defect_before_the_write_stops_that_ad_set_only(
        self, world: World, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing was written, so it is a plain failure, and the others keep their results."""
        world.campaign("FL")
        world.adset("One")
        world.adset("Two")
        monkeypatch.setattr(step, _defective)

        assert failed(world).count("Unexpected ZeroDivisionError") == 2
        assert world.meta.writes == []

    def test_a_defect_in_the_rollback_is_a_failed_rollback(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing hides that an ad set is not as it was."""
        world.campaign("FL")
        world.adset(breakage=Breakage.stubborn())
        monkeypatch.setattr("closrads.rollout.rollback.rollback_geo", _defective)

        assert "rollback_failed" in failed(world)

    def test_a_defect_before_the_write_fails_that_campaign_only(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message names the kind of defect; the report still goes out."""
        world.campaign("FL")
        monkeypatch.setattr("closrads.sync.decide", _defective)
        world.adset()

        assert failed(world) == "Veterans: Unexpected ZeroDivisionError: oops"
        assert world.sandbox.aws.mails[-1].subject == "✗ Veterans failed · Mon 4 May"


def _stale(world: World, adset: str) -> Reply:
    """Return what a read shows that is as old as now."""
    return faults.answer(
        {"id": adset, "name": "Broad", "effective_status": "ACTIVE", "targeting": world.meta.targeting(adset)}
    )


def _defective(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("oops")


def test_ads_of_other_campaigns_are_never_touched(world: World) -> None:
    """Only Meta campaigns named in the parameters are read or written."""
    world.campaign("FL")
    world.adset()
    world.meta.add_campaign("120200000000000999", name="somebody else's")
    stranger = world.adset("Stranger", campaign="120200000000000999")

    world.run(LIVE)

    assert world.meta.states(stranger) == {"TX"}
    assert not [operation for operation in world.meta.operations if stranger in operation.path]
    assert VETERANS in {operation.object_id for operation in world.meta.operations}


class TestEnded:
    """Ad sets whose end is past stay ACTIVE at Meta, which refuses to switch their ads on."""

    @pytest.fixture
    def ended(self, world: World) -> list[str]:
        """Return two ad sets that have ended; they come before four that run."""
        world.campaign("FL")
        ended = [world.adset(f"Ended {number}") for number in range(2)]
        for adset in ended:
            world.meta.adsets[adset].end_time = world.time.seconds() - 3600
        for number in range(4):
            world.adset(f"Running {number}")
        return ended

    def test_they_are_left_alone_and_the_others_run(self, world: World, ended: list[str]) -> None:
        """No write, no re-publish, no sign against the rest: the day is a good one."""
        answer = world.run(LIVE)

        assert results(answer) == {
            **dict.fromkeys(["Ended 0", "Ended 1"], "ended"),
            **{f"Running {number}": "updated" for number in range(4)},
        }
        ads = {ad.id for adset in ended for ad in world.meta.ads_of(adset)}
        assert not {operation.object_id for operation in world.meta.operations} & {*ended, *ads}
        (campaign,) = answer["campaigns"]
        assert (campaign["adsets_processed"], campaign["adsets_ended"]) == (4, 2)
        mail = world.sandbox.aws.mails[-1]
        assert mail.subject.startswith("✓ 4 updated ·")
        assert "Nothing to do: 4 ad sets updated." in mail.html
        assert "* 2 ad sets (Veterans), each has ended:" in mail.text

    def test_their_campaign_may_have_ended_instead(self, world: World) -> None:
        """A campaign past its end reads ACTIVE as well."""
        world.campaign("FL", slug="mortgage", meta_campaigns=(MORTGAGE_1, MORTGAGE_2))
        world.meta.campaigns[MORTGAGE_1].stop_time = world.time.seconds() - 3600
        world.adset("One", campaign=MORTGAGE_1)
        world.adset("Two", campaign=MORTGAGE_2)

        assert results(world.run(LIVE), "mortgage") == {"One": "ended", "Two": "updated"}

    def test_their_states_say_nothing_of_a_plan(self, world: World) -> None:
        """What they still target would not be taken away, so it is no part of the share that may be."""
        world.campaign("FL")
        adset = world.adset("Ended", "AL AK AZ AR CA CO CT DE GA HI ID")
        world.meta.adsets[adset].end_time = world.time.seconds() - 3600
        world.adset("Running", "FL GA")

        assert results(world.run(LIVE)) == {"Ended": "ended", "Running": "updated"}

    @pytest.mark.parametrize(("seconds", "result"), [(600, "ended"), (3600, "updated")])
    def test_one_that_is_about_to_end(self, world: World, seconds: int, result: str) -> None:
        """It might end before its ads are re-published, or put back."""
        world.campaign("FL")
        world.meta.adsets[world.adset()].end_time = world.time.seconds() + seconds

        assert results(world.run(LIVE)) == {"Broad": result}

    def test_an_end_in_1969_is_none(self, world: World) -> None:
        """Old ad sets without an end are read with the time zero."""
        world.campaign("FL")
        world.meta.adsets[world.adset()].end_time = 0

        assert results(world.run(LIVE)) == {"Broad": "updated"}

    def test_one_that_is_ended_after_the_plan(self, world: World) -> None:
        """What is read again right before the write decides."""
        world.campaign("FL")
        adset = world.adset()
        let_the_plan_grow_old(world)
        old = world.meta.on_exchange

        def end(moment: str) -> None:
            old(moment)
            if world.time.seconds() > world.meta.adsets[adset].created_time + 5:
                world.meta.adsets[adset].end_time = world.time.seconds()

        world.meta.on_exchange = end

        assert results(world.run(LIVE)) == {"Broad": "ended"}
        assert world.meta.writes == []

    def test_an_ad_that_broke_before_the_end_is_named_and_nothing_is_written(self, world: World) -> None:
        """Nothing delivers there any more, and Meta would refuse the re-publish of a rollback."""
        world.campaign("FL")
        adset = world.adset()
        world.run(LIVE)
        world.meta.ads_of(adset)[0].issues = [MISSING_LEAD_FORM]
        world.meta.adsets[adset].end_time = world.time.seconds()
        world.meta.requests.clear()

        answer = world.run({"action": "recheck", "dry_run": False})

        assert results(answer) == {"Broad": "unchanged"}
        assert "3390001" in str(answer["campaigns"][0]["adsets"][0]["issues"])
        assert world.meta.writes == []


UNUSABLE: dict[str, Any] = {
    "none": None,
    "a list": [],
    "a text": "US",
    "locations that are a list": {"geo_locations": [{"key": "3886"}]},
    "locations that are a text": {"geo_locations": "US"},
}


class TestUnusableTargeting:
    """Meta lists an ad set in a form that cannot be used."""

    @pytest.mark.parametrize("shown", UNUSABLE.values(), ids=UNUSABLE)
    def test_it_needs_attention_and_the_others_run(self, world: World, shown: Any) -> None:
        """One that cannot be read is no reason to leave the others for a day."""
        world.campaign("FL")
        odd = world.adset("Odd")
        world.adset("Right")
        world.meta.read_oddity = oddities.replaced(odd, "targeting", shown)

        answer = world.run(LIVE)

        assert results(answer) == {"Odd": "needs_attention", "Right": "updated"}
        assert odd not in world.written_adsets()
        assert "open it in Ads Manager" in last_report(world)

    def test_what_it_had_before_is_not_taken_for_somebody_elses(self, world: World) -> None:
        """Neither the recheck before a run nor the next recovery may decide by states that are not seen."""
        world.campaign("FL")
        adset = world.adset()
        world.run(LIVE)
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.meta.ads_of(adset)[0].issues = [MISSING_LEAD_FORM]
        world.meta.read_oddity = oddities.replaced(adset, "targeting")

        assert results(world.run(LIVE)) == {"Broad": "needs_attention"}
        assert world.meta.states(adset) == {"FL"}
        world.meta.read_oddity = None
        result_of(world, LIVE)
        assert world.meta.states(adset) == {"TX"}

    @pytest.mark.parametrize("automation", [[], ["geo"], "geo", {"individual_setting": ["geo"]}], ids=str)
    def test_other_parts_of_a_wrong_type_stop_nobody(self, world: World, automation: Any) -> None:
        """What is written back as it came need not be understood."""
        world.campaign("FL")
        adset = world.adset()
        shown = {**world.meta.targeting(adset), "targeting_automation": automation}
        world.meta.read_oddity = oddities.replaced(adset, "targeting", shown)

        assert results(world.run({})) == {"Broad": "updated"}


class TestLearning:
    """Each change of states starts Meta's learning phase anew."""

    @pytest.mark.parametrize(("event", "restart"), [(LIVE, "restart"), ({}, "would restart")], ids=["live", "dry run"])
    def test_the_mail_says_so_in_one_line(self, world: World, event: Any, restart: str) -> None:
        """And names who had not left it, and since when; the result and the ledger keep that of each."""
        world.campaign("FL")
        world.adset("Steady")
        learning = world.meta.adsets[world.adset("Young")]
        learning.learning, learning.last_significant_edit = "LEARNING", START.timestamp() - 86_400
        world.adset("Right", "FL")

        result = world.run(event)

        (mail,) = world.sandbox.aws.mails
        (told,) = [each for each in mail.text.splitlines() if "learning phase" in each]
        assert told.startswith(f"2 ad sets {restart} Meta's learning phase")
        assert told.endswith(" 1 had not left it yet: Young (since 3 May).")
        assert result["restarts_learning"] == 2
        found = {adset["name"]: adset["learning_since"] for adset in result["campaigns"][0]["adsets"]}
        assert found == {"Steady": None, "Young": "2026-05-03T10:30:00+00:00", "Right": None}

    def test_nothing_is_said_on_a_quiet_day(self, world: World) -> None:
        """Nothing was changed."""
        world.campaign("FL")
        world.meta.adsets[world.adset(states="FL")].learning = "LEARNING"

        assert world.run(LIVE)["restarts_learning"] == 0
        assert "learning" not in world.sandbox.aws.mails[0].text

    @pytest.mark.parametrize("shown", [None, [], "LEARNING", {"status": ["LEARNING"]}, {"status": "LEARNING"}], ids=str)
    def test_what_cannot_be_read_of_it_stops_nobody(self, world: World, shown: Any) -> None:
        """Its targeting is well."""
        world.campaign("FL")
        world.meta.read_oddity = oddities.replaced(world.adset(), "learning_stage_info", shown)

        assert results(world.run(LIVE)) == {"Broad": "updated"}


class TestShownElsewhere:
    """A setting of an ad set lets Meta show it to people outside its states."""

    @pytest.mark.parametrize("event", [LIVE, {}], ids=["live", "dry run"])
    def test_the_mail_says_how_to_switch_it_off(self, world: World, event: Any) -> None:
        """In an orange box; the run itself leaves the setting alone."""
        world.campaign("FL")
        beyond = world.adset(states=None, targeting=sandbox_targeting.realistic("TX", reaches_beyond=True))
        world.adset("Narrow", "FL")

        world.run(event)

        (mail,) = world.sandbox.aws.mails
        assert "1 ad set needs you" in mail.subject
        assert "* Broad (Veterans) may be shown to people outside its states" in mail.text
        assert world.meta.targeting(beyond)["targeting_automation"]["individual_setting"]["geo"] == 1

    def test_also_of_an_ad_set_that_is_put_back_first(self, world: World) -> None:
        """Its ads have broken since the last run."""
        world.campaign("FL")
        targeting = sandbox_targeting.realistic("TX", reaches_beyond=True)
        world.adset(states=None, targeting=targeting, breakage=Breakage.late(600))
        world.run(LIVE)
        world.time.next_day()

        assert results(world.run(LIVE)) == {"Broad": "reverted"}
        assert "may be shown to people outside its states" in world.sandbox.aws.mails[-1].text


class TestOtherAccount:
    """The parameter names an ad account that the campaign does not belong to."""

    @pytest.mark.parametrize("event", [LIVE, {}], ids=["live", "dry run"])
    def test_nothing_is_written(self, world: World, event: Any) -> None:
        """Quota, activity log and links would be another account's; the error names the parameter."""
        world.campaign("FL")
        world.adset()
        world.put({"campaigns/veterans/fb_ad_account_id": "act_222"})

        said = failed(world, event)

        assert "campaigns/veterans/fb_ad_account_id" in said
        assert "act_111" in said
        assert "act_222" in said
        assert world.meta.writes == []

    def test_one_meta_campaign_of_two_is_enough(self, world: World) -> None:
        """Before the first write it is all or nothing."""
        world.campaign("FL", slug="mortgage", meta_campaigns=(MORTGAGE_1,))
        world.meta.add_campaign(MORTGAGE_2, account="act_222")
        world.put({"campaigns/mortgage/fb_campaign_ids": [MORTGAGE_1, MORTGAGE_2]})
        world.adset("One", campaign=MORTGAGE_1)
        world.adset("Two", campaign=MORTGAGE_2)

        assert "act_222" in failed(world)
        assert world.meta.writes == []


class TestRegionNames:
    """Meta shows a region key under another name than our table (kai-cmo-harness #48)."""

    @pytest.fixture
    def adsets(self, world: World) -> list[str]:
        """Return three ad sets in Texas; Florida and Ohio are wanted."""
        world.campaign("FL OH")
        return [world.adset(name) for name in ("First", "Second", "Third")]

    def test_a_write_that_reads_back_as_another_state_is_put_back(self, world: World, adsets: list[str]) -> None:
        """The key alone would be a ✓; the campaign stops at once, for the same would happen to every ad set."""
        world.meta.echo_oddity = oddities.wrong_region_name("OH", "North Dakota")

        said = failed(world)

        assert "3878" in said
        assert "“North Dakota”" in said
        assert "should be OH" in said
        assert [world.meta.states(adset) for adset in adsets] == [{"TX"}] * 3
        assert set(world.written_adsets()) == {adsets[0]}
        assert "First (120210000000010007)" in last_report(world)
        assert "put back as before" in last_report(world)

    def test_one_that_was_there_before_is_left_alone(self, world: World, adsets: list[str]) -> None:
        """What it targets is not known, so it is neither right nor to be written."""
        world.meta.adsets[adsets[0]].targeting = sandbox_targeting.realistic("FL OH")
        world.meta.read_oddity = oddities.wrong_region_name("OH", "North Dakota")

        assert results(world.run({}))["First"] == "needs_attention"
        assert "should be OH" in last_report(world)

    def test_a_run_that_died_before_it_looked_is_put_back_by_the_next(self, world: World) -> None:
        """A recovery reads the names as well."""
        world.campaign("OH")
        adset = world.adset()
        left_behind(world, adset, ChangeState.PREPARED, states="OH")
        world.meta.read_oddity = oddities.wrong_region_name("OH", "North Dakota")

        answer = result_of(world, LIVE)

        (recovery,) = answer["recovered"]
        assert recovery["state"] == "rolled_back"
        assert "“North Dakota”" in str(recovery["issues"])

    @pytest.mark.parametrize(
        ("state", "name"),
        [("OH", "OHIO"), ("OH", " ohio "), ("DC", "District of Columbia"), ("DC", "Washington, D.C."), ("OH", "")],
    )
    def test_another_spelling_is_the_same_name(self, world: World, state: str, name: str) -> None:
        """Case and dots vary, and so does what the District of Columbia is called; no name says nothing."""
        world.campaign(f"FL {state}")
        world.adset()
        world.meta.echo_oddity = world.meta.read_oddity = oddities.wrong_region_name(state, name)

        assert results(world.run(LIVE)) == {"Broad": "updated"}
        assert results(world.run(LIVE)) == {"Broad": "unchanged"}


class TestNoCampaign:
    """An id in `fb_campaign_ids` is not a Meta campaign's; Meta says no more than that a path is unknown."""

    @pytest.mark.parametrize("kind", ["ad set", "ad"])
    def test_it_is_told_what_it_is_and_what_to_put_instead(self, world: World, kind: str) -> None:
        """Ads Manager shows the ids of all three in the same way."""
        world.campaign("FL")
        adset = world.adset("Broad")
        ad = world.meta.ads_of(adset)[0].id
        wrong = adset if kind == "ad set" else ad
        world.put({"campaigns/veterans/fb_campaign_ids": [wrong]})

        said = failed(world)

        name = "Broad" if kind == "ad set" else "Broad: ad 1"
        assert f"{wrong} is the id of the {kind} “{name}”, not of a Meta campaign" in said
        assert f"fb_campaign_ids: {VETERANS}" in said
        assert world.meta.writes == []

    def test_what_is_unknown_stays_metas_words(self, world: World) -> None:
        """A campaign that is gone is neither an ad set nor an ad."""
        world.campaign("FL")
        world.put({"campaigns/veterans/fb_campaign_ids": ["120200000000000999"]})

        assert "object does not exist" in failed(world)


CONTROLS: dict[str, Any] = {
    "excluded": {"excluded_geo_locations": {"regions": [{"key": "3878", "name": "Ohio"}]}},
    "not among the allowed": {"geo_locations": {"regions": [{"key": "3852"}, {"key": "3886"}]}},
}


class TestRestrictions:
    """What is above the ad sets and forbids what is wanted is told once, with what it means."""

    @pytest.mark.parametrize("event", [LIVE, {"validate": True}], ids=["live", "validation"])
    @pytest.mark.parametrize("controls", CONTROLS.values(), ids=CONTROLS)
    def test_audience_controls_of_the_account(self, world: World, controls: Any, event: Any) -> None:
        """The first refusal is explained and stops the campaign: every other ad set would meet with the same."""
        world.campaign("FL OH")
        adsets = [world.adset(f"Broad {number}") for number in range(3)]
        world.meta.accounts["act_111"].controls = {"audience_controls": controls, "status": "ACTIVE"}

        said = failed(world, event)

        assert said.count("audience controls of the ad account") >= 1
        assert "OH" in said
        assert "Account controls" in said
        refused = [each for each in world.meta.operations if each.kind == "adset" and each.method == "POST"]
        assert [each.object_id for each in refused] == adsets[:1]
        assert [world.meta.states(adset) for adset in adsets] == [{"TX"}] * 3

    @pytest.mark.parametrize(
        "controls",
        [None, {}, {"geo_locations": {"countries": ["US"]}}, {"geo_locations": "US"}, "none"],
        ids=str,
    )
    def test_a_refusal_that_they_do_not_explain_stays_one(self, world: World, controls: Any) -> None:
        """Then three equal ones stop the campaign, as ever; they are read once."""
        world.campaign("FL OH")
        for number in range(4):
            world.adset(f"Broad {number}")
        world.meta.accounts["act_111"].controls = None if controls is None else {"audience_controls": controls}
        world.meta.fail(faults.error(100, None, "Invalid parameter"), on="POST adset", times=None)

        assert "3 ad sets in a row were refused for the same reason" in failed(world)
        assert sum(each.kind == "account_controls" for each in world.meta.operations) == 1

    def test_controls_that_cannot_be_read_explain_nothing(self, world: World, log: StringIO) -> None:
        """The refusal itself is told all the same; why nothing explains it stands in the log."""
        world.campaign("FL")
        world.adset()
        world.meta.fail(faults.error(100, None, "Invalid parameter"), on="POST adset", times=None)
        world.meta.fail(faults.PERMISSION_MISSING, on="GET account_controls", times=None)

        assert "Invalid parameter" in failed(world)
        (line,) = (line for line in map(json.loads, log.getvalue().splitlines()) if "controls" in line["message"])
        assert (line["message"], "[Meta " in line["error"]) == ("meta.no_account_controls", True)

    @pytest.mark.parametrize("category", ["HOUSING", "EMPLOYMENT", "FINANCIAL_PRODUCTS_SERVICES", "CREDIT"])
    def test_a_special_ad_category_that_allows_no_exclusion(self, world: World, category: str) -> None:
        """It is known before the write, so Meta is not asked; ad sets with the same trouble share an entry."""
        world.campaign("FL")
        world.meta.campaigns[VETERANS].special_ad_categories = (category,)
        excluding = [world.adset(f"Excluding {number}") for number in range(2)]
        for adset in excluding:
            world.meta.adsets[adset].targeting["excluded_geo_locations"] = {"regions": [{"key": "3847"}]}
        world.adset("Free")

        answer = world.run(LIVE)

        assert results(answer) == {
            "Excluding 0": "needs_attention",
            "Excluding 1": "needs_attention",
            "Free": "updated",
        }
        assert last_report(world).count("* 2 ad sets (Veterans), each cannot be given today's states") == 1
        assert category in last_report(world)

    def test_any_other_category_allows_it(self, world: World) -> None:
        """Politics is a label; so is none."""
        world.campaign("FL")
        world.meta.campaigns[VETERANS].special_ad_categories = ("ISSUES_ELECTIONS_POLITICS", "NONE")
        adset = world.adset()
        world.meta.adsets[adset].targeting["excluded_geo_locations"] = {"regions": [{"key": "3847"}]}

        assert results(world.run(LIVE)) == {"Broad": "updated"}
