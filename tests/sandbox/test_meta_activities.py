"""The activity log: who changed what, as far as Meta tells."""

import json
from typing import Any

import pytest

from sandbox.meta import Breakage, Effect, MetaWorld, activity_log, faults
from sandbox.meta.activity_log import OWN, PERSON
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess

ACCOUNT = "act_111"
NAMES = "event_time,event_type,actor_name,object_type,object_id,extra_data"


@pytest.fixture
def adset(quiet_meta: MetaWorld) -> str:
    """Add an ad set with two ads."""
    return quiet_meta.add_adset(CAMPAIGN, "Broad", "FL")


def ads_of(meta: MetaWorld, adset: str) -> list[str]:
    """Return the ids of an ad set's ads."""
    return [ad.id for ad in meta.ads_of(adset)]


def log(client: InProcess, path: str = ACCOUNT, **params: Any) -> list[dict[str, Any]]:
    """Read the log, with `extra_data` decoded."""
    rows: list[dict[str, Any]] = client.get(f"{path}/activities", fields=NAMES, **params)["data"]
    return [row | {"extra_data": json.loads(row["extra_data"])} for row in rows]


def changes(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return type, old and new value of each row."""
    return [(row["event_type"], row["extra_data"]["old_value"], row["extra_data"]["new_value"]) for row in rows]


class TestRows:
    """What a change leaves in the log."""

    def test_a_pause_makes_three_rows(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """Through processing to the end, the newest first, under the old names of ads and ad sets."""
        ad, _ = ads_of(quiet_meta, adset)
        quiet_meta.accounts[ACCOUNT].activities.spread = 90
        quiet_meta.pause_by_hand(ad)
        clock.advance(90)
        rows = log(client)
        assert changes(rows) == [
            ("update_ad_run_status", "Pending Process", "Inactive"),
            ("update_ad_run_status_to_be_set_after_review", "Active", "Inactive"),
            ("update_ad_run_status", "Active", "Pending Process"),
        ]
        assert {row["object_type"] for row in rows} == {"ADGROUP"}
        assert {row["object_id"] for row in rows} == {ad}
        assert {row["actor_name"] for row in rows} == {PERSON.name}
        assert [row["extra_data"]["campaign_id"] for row in rows] == [int(adset), {"new": int(adset)}, int(adset)]

    def test_the_rows_of_one_pause_come_one_after_the_other(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """Shortly after it the log does not yet say how it ends."""
        quiet_meta.accounts[ACCOUNT].activities.spread = 90
        quiet_meta.pause_by_hand(ads_of(quiet_meta, adset)[0])
        clock.advance(89)
        assert [new for _, _, new in changes(log(client))] == ["Inactive", "Pending Process"]
        clock.advance(1)
        assert len(log(client)) == 3

    def test_a_republish_is_no_pause(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """Our own writes are in the log, by our own user and app."""
        ad, _ = ads_of(quiet_meta, adset)
        client.republish(ad)
        rows = log(client)
        assert [new for _, _, new in changes(rows)] == ["Active", "Pending Process"]
        (row, _) = client.get(f"{ACCOUNT}/activities")["data"]
        assert (row["actor_id"], row["application_name"]) == (OWN.id, OWN.application)

    def test_a_status_that_is_not_set_anew_makes_no_row(self, quiet_meta: MetaWorld, client: InProcess) -> None:
        """Pausing what is paused, and writing targeting that is there, change nothing."""
        raw = {"geo_locations": {"regions": [{"key": "3852"}]}}
        adset = quiet_meta.add_adset(CAMPAIGN, "Raw", targeting=raw, ads=0)
        ad = quiet_meta.add_ad(adset, "Video", status="PAUSED")
        client.post(ad, status="PAUSED")
        client.set_states(adset, "FL")
        client.post(adset, status="ACTIVE")
        assert log(client) == []

    def test_targeting_is_told_in_words(self, client: InProcess, adset: str) -> None:
        """Old and new are texts for people, under the ad set's old name."""
        client.set_states(adset, "OH", "GA")
        (row,) = log(client)
        assert (row["event_type"], row["object_type"]) == ("update_ad_set_target_spec", "CAMPAIGN")
        assert row["extra_data"]["old_value"][0]["children"] == ["United States: Florida"]
        assert row["extra_data"]["new_value"][0]["children"] == ["United States: Georgia, Ohio"]

    def test_metas_own_pause_is_one_row_at_its_time(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock
    ) -> None:
        """Meta stands in the log as the actor 0, and the row bears the time of the pause, not of the look."""
        adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=2, breakage=Breakage.silently_paused(seconds=60))
        client.set_states(adset, "OH")
        written = clock()
        clock.advance(90)
        client.post(adset, status="PAUSED")
        clock.advance(600)
        rows = client.get(f"{ACCOUNT}/activities", fields=f"{NAMES},actor_id", category="STATUS")["data"]
        assert [row["actor_id"] for row in rows] == [OWN.id, "0", "0"]
        assert [row["actor_name"] for row in rows] == [OWN.name, "Meta", "Meta"]
        assert {row["event_time"] for row in rows[1:]} == {clock.text(written + 60)}
        assert [json.loads(row["extra_data"])["new_value"] for row in rows[1:]] == ["Inactive", "Inactive"]

    def test_what_heals_by_itself_is_metas_too(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock) -> None:
        """A review ends, and an ad runs again with its old targeting: Meta switched it on."""
        breakage = Breakage.cured_by_rollback(Effect.PAUSED, seconds=1)
        adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=breakage)
        quiet_meta.add_ad(adset, "Reviewed", breakage=Breakage.long_review(lasts=60))
        client.set_states(adset, "OH")
        client.get(f"{adset}/ads")
        clock.advance(60)
        client.set_states(adset, "FL")
        assert changes(log(client, category="STATUS")) == [
            ("update_ad_run_status", "Pending Review", "Active"),
            ("update_ad_run_status", "Inactive", "Active"),
            ("update_ad_run_status", "Active", "Inactive"),
            ("update_ad_run_status", "Active", "Pending Review"),
        ]
        assert {row["actor_name"] for row in log(client, category="STATUS")} == {"Meta"}

    def test_the_end_of_a_review_of_an_ad_that_is_off(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock
    ) -> None:
        """Meta logs it as its own, though a person has paused the ad before."""
        adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=0)
        ad = quiet_meta.add_ad(adset, "Reviewed", breakage=Breakage.long_review(lasts=60))
        client.set_states(adset, "OH")
        client.get(f"{adset}/ads")
        quiet_meta.person_pauses(ad)
        clock.advance(60)
        client.get(f"{adset}/ads")
        assert changes(log(client, category="STATUS"))[0] == ("update_ad_run_status", "Pending Review", "Inactive")
        assert log(client, category="STATUS")[0]["actor_name"] == "Meta"

    def test_fields(self, client: InProcess, adset: str) -> None:
        """All that Meta's SDK knows can be asked for; without a wish all are there, and an unknown one is refused."""
        client.set_states(adset, "OH")
        (row,) = client.get(f"{ACCOUNT}/activities", fields="date_time_in_timezone,translated_event_type,tool")["data"]
        assert set(row) == {"date_time_in_timezone", "translated_event_type"}
        (row,) = client.get(f"{ACCOUNT}/activities")["data"]
        assert set(row) == set(activity_log.FIELDS) - {"tool"}
        assert client.error("GET", f"{ACCOUNT}/activities", fields="id") == (400, 100, None)


class TestReading:
    """Windows, filters and pages."""

    def test_the_last_seven_days_unless_asked_for_more(self, client: InProcess, clock: Clock, adset: str) -> None:
        """`since` and `until` take epoch seconds and dates."""
        start = clock()
        client.set_states(adset, "OH")
        clock.advance(8 * 86_400)
        client.set_states(adset, "GA")
        assert len(log(client)) == 1
        assert len(log(client, since=str(int(start)))) == 2
        assert len(log(client, since=clock.text(start))) == 2
        assert len(log(client, since=clock.text(start)[:10])) == 2
        assert len(log(client, since=str(int(start)), until=str(int(start) + 60))) == 1
        assert client.error("GET", f"{ACCOUNT}/activities", since="yesterday") == (400, 100, None)

    def test_by_category_and_actor(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """One kind of change, one person's changes; an unknown category is refused."""
        client.set_states(adset, "OH")
        quiet_meta.pause_by_hand(ads_of(quiet_meta, adset)[0])
        assert {row["event_type"] for row in log(client, category="TARGETING")} == {"update_ad_set_target_spec"}
        assert len(log(client, category="STATUS")) == 3
        assert {row["actor_name"] for row in log(client, uid=PERSON.id)} == {PERSON.name}
        assert client.error("GET", f"{ACCOUNT}/activities", category="PAUSES") == (400, 100, None)

    def test_by_object(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """`oid` is one object, with `add_children` its ads too, `extra_oids` are more of them."""
        other = quiet_meta.add_adset(CAMPAIGN, "Other", "FL")
        for each in (adset, other):
            client.set_states(each, "OH")
            quiet_meta.pause_by_hand(ads_of(quiet_meta, each)[0])
        assert len(log(client)) == 8
        assert [row["object_id"] for row in log(client, oid=adset)] == [adset]
        assert len(log(client, oid=adset, add_children="true")) == 4
        assert len(log(client, oid=CAMPAIGN, add_children="true")) == 8
        assert [row["object_id"] for row in log(client, oid=adset, extra_oids=[other])] == [other, adset]
        assert len(log(client, path=adset)) == 4

    @pytest.mark.parametrize(("oid", "rows"), [("honoured", 1), ("ignored", 4)])
    def test_the_filter_by_object_is_not_to_be_relied_on(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, oid: Any, rows: int
    ) -> None:
        """Some clients tell that it is ignored, some that it is refused."""
        client.set_states(adset, "OH")
        quiet_meta.pause_by_hand(ads_of(quiet_meta, adset)[0])
        quiet_meta.accounts[ACCOUNT].activities.oid = oid
        assert len(log(client, oid=adset)) == rows
        quiet_meta.accounts[ACCOUNT].activities.oid = "refused"
        assert client.error("GET", f"{ACCOUNT}/activities", oid=adset) == (400, 100, None)

    def test_pages(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """Pages follow each other without a gap, and may be empty with more behind them."""
        for state in ("OH", "GA", "FL"):
            client.set_states(adset, state)
        quiet_meta.empty_pages = 1
        pages = [client.get(f"{ACCOUNT}/activities", limit="2", fields="extra_data")]
        while "next" in pages[-1]["paging"]:
            after = pages[-1]["paging"]["cursors"]["after"]
            pages.append(client.get(f"{ACCOUNT}/activities", limit="2", fields="extra_data", after=after))
        found = [
            [json.loads(row["extra_data"])["new_value"][0]["children"][0] for row in page["data"]] for page in pages
        ]
        assert found == [[], ["United States: Florida", "United States: Georgia"], [], ["United States: Ohio"]]

    def test_each_account_has_its_own(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """Nothing of another account is shown; campaigns and ads have no such edge here."""
        quiet_meta.add_campaign("120210000000000200", "act_222")
        client.set_states(adset, "OH")
        assert log(client, path="act_222") == []
        for path in (CAMPAIGN, ads_of(quiet_meta, adset)[0]):
            assert client.error("GET", f"{path}/activities") == (400, 2500, None)

    def test_it_costs_a_read_of_the_account(self, quiet_meta: MetaWorld, client: InProcess) -> None:
        """Its usage is that of ads management."""
        reply = client.raw("GET", f"{ACCOUNT}/activities")
        assert "X-Business-Use-Case-Usage" in dict(reply.headers)
        assert (quiet_meta.operations[-1].kind, quiet_meta.points) == ("activities", 1)


class TestWithoutARow:
    """A log that does not tell."""

    def test_a_row_takes_its_time(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """With a delay nothing can be read before it is over."""
        quiet_meta.accounts[ACCOUNT].activities.delay = 300
        client.set_states(adset, "OH")
        clock.advance(299)
        assert log(client) == []
        clock.advance(1)
        assert len(log(client)) == 1

    def test_a_row_may_be_missing(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """What the script leaves out never comes."""
        first, second = ads_of(quiet_meta, adset)
        quiet_meta.accounts[ACCOUNT].activities.missing = lambda row: row.object_id == first
        quiet_meta.pause_by_hand(first)
        quiet_meta.pause_by_hand(second)
        assert {row["object_id"] for row in log(client)} == {second}

    @pytest.mark.parametrize("fault", [faults.PERMISSION_MISSING, faults.CAPABILITY_MISSING])
    def test_the_right_to_read_it_may_be_missing(self, quiet_meta: MetaWorld, client: InProcess, fault: Any) -> None:
        """Everything else works."""
        quiet_meta.fail(fault, on="GET activities", times=None)
        assert client.error("GET", f"{ACCOUNT}/activities") == (
            fault.status,
            json.loads(fault.body)["error"]["code"],
            None,
        )
        assert client.get(ACCOUNT) == {"id": ACCOUNT}

    @pytest.mark.parametrize("fault", [faults.UNKNOWN_ERROR, faults.SERVICE_UNAVAILABLE])
    def test_a_wide_window_fails(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, fault: Any) -> None:
        """A shorter one helps, waiting does not."""
        activities = quiet_meta.accounts[ACCOUNT].activities
        activities.widest, activities.too_wide = 30 * 86_400, fault
        since = str(int(clock() - 31 * 86_400))
        for _ in range(2):
            reply = client.raw("GET", f"{ACCOUNT}/activities", since=since)
            assert (reply.status, reply.body) == (fault.status, fault.body)
            clock.advance(60)
        assert log(client) == []
