"""Writes that take effect late or twice, reads that lag behind, and answers that differ from what was stored."""

import json
from typing import Any

import pytest

from sandbox.meta import Breakage, MetaWorld, faults, oddities
from sandbox.server import Reply
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess

STORED = {"geo_locations": {"regions": [{"key": "3852"}]}, "brand_safety_content_filter_levels": ["FACEBOOK_STANDARD"]}


@pytest.fixture
def adset(quiet_meta: MetaWorld) -> str:
    """Add an ad set in Florida with one ad."""
    return quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1)


def write(client: InProcess, adset: str, key: str = "3878", **more: Any) -> Reply:
    """Write one state, Ohio by default."""
    return client.raw("POST", adset, targeting={"geo_locations": {"regions": [{"key": key}]}}, **more)


class TestLate:
    """Writes that take effect after their answer."""

    @pytest.mark.parametrize("reply", [None, faults.ERROR_PAGE_400, faults.DROPPED])
    def test_a_write_that_takes_effect_later(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str, reply: Reply | None
    ) -> None:
        """Confirmed at once or never answered, it changes nothing before its time."""
        quiet_meta.fail(reply, on="POST adset", later=5)
        answer = write(client, adset)
        if reply is None:
            assert answer.body == faults.SUCCESS.body
        else:
            assert (answer.body, answer.delivery) == (reply.body, reply.delivery)
        clock.advance(4)
        assert quiet_meta.states(adset) == {"FL"}
        assert quiet_meta.writes == []
        clock.advance(1)
        assert quiet_meta.states(adset) == {"OH"}
        assert [operation.object_id for operation in quiet_meta.writes] == [adset]

    def test_it_bears_the_time_of_its_effect(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """However late somebody looks; what it breaks breaks from then on."""
        (ad,) = quiet_meta.ads_of(adset)
        ad.breakage = Breakage.ordinary(seconds=60)
        quiet_meta.fail(None, on="POST adset", later=5)
        write(client, adset)
        due = clock() + 5
        clock.advance(64)
        assert quiet_meta.ads_of(adset)[0].effective_status == "ACTIVE"
        clock.advance(1)
        assert quiet_meta.ads_of(adset)[0].effective_status == "WITH_ISSUES"
        assert quiet_meta.adsets[adset].updated_time == due
        (row,) = client.get("act_111/activities", category="TARGETING")["data"]
        assert row["event_time"] == clock.text(due)

    def test_later_writes_are_overwritten_by_it(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """Nothing tells Meta that the client has written anew meanwhile."""
        quiet_meta.fail(faults.DROPPED, on="POST adset", later=5)
        write(client, adset)
        write(client, adset, "3886")
        assert quiet_meta.states(adset) == {"TX"}
        clock.advance(5)
        assert quiet_meta.states(adset) == {"OH"}

    def test_what_is_refused_is_refused_at_once(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """A write that Meta would not do is not done later either."""
        quiet_meta.fail(None, on="POST adset", later=5)
        assert json.loads(write(client, adset, "1").body or b"")["error"]["code"] == 100
        clock.advance(5)
        assert quiet_meta.states(adset) == {"FL"}

    def test_a_token_that_is_not_accepted_writes_nothing_late(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """A lost answer hides a refusal as well as a success."""
        quiet_meta.dead_tokens[quiet_meta.token] = faults.PASSWORD_CHANGED
        quiet_meta.fail(faults.DROPPED, on="POST adset", later=5)
        write(client, adset)
        clock.advance(5)
        assert quiet_meta.states(adset) == {"FL"}

    def test_a_late_republish(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock) -> None:
        """Ads are written late like ad sets."""
        adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=Breakage.lost_link(60))
        (ad,) = quiet_meta.ads_of(adset)
        client.set_states(adset, "OH")
        quiet_meta.fail(None, on="POST ad", later=5)
        client.republish(ad.id)
        assert not quiet_meta.link_is_confirmed(ad.id)
        clock.advance(5)
        assert quiet_meta.link_is_confirmed(ad.id)

    def test_the_end_comes_without_waiting(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """`settle` does what is still to be done."""
        quiet_meta.fail(None, on="POST adset", later=3600)
        write(client, adset)
        quiet_meta.settle()
        assert quiet_meta.states(adset) == {"OH"}

    def test_twice(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """Done, and done again over what came in between: the links that were confirmed are pending anew."""
        (ad,) = quiet_meta.ads_of(adset)
        ad.breakage = Breakage.lost_link(60)
        quiet_meta.fail(None, on="POST adset", applied=True, later=5)
        assert write(client, adset).body == faults.SUCCESS.body
        assert quiet_meta.states(adset) == {"OH"}
        client.set_states(adset, "FL")
        client.republish(ad.id)
        clock.advance(5)
        assert quiet_meta.states(adset) == {"OH"}
        assert not quiet_meta.link_is_confirmed(ad.id)


class TestSlow:
    """Answers that take their time."""

    def test_a_slow_answer_is_right(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """It says how late it comes, and what was asked for is done."""
        quiet_meta.fail(None, on="POST adset", after=20)
        reply = write(client, adset)
        assert (reply.after, reply.body) == (20, faults.SUCCESS.body)
        assert quiet_meta.states(adset) == {"OH"}
        assert write(client, adset).after == 0

    def test_slow_items_make_a_slow_batch(self, quiet_meta: MetaWorld, client: InProcess) -> None:
        """The envelope waits for all of them, and may be slow itself."""
        items = [{"method": "GET", "relative_url": CAMPAIGN}] * 2
        quiet_meta.fail(None, on="GET", times=2, after=3)
        quiet_meta.fail(None, on="batch", after=4)
        reply = client.raw("POST", "", batch=items)
        assert reply.after == 10
        assert [item["code"] for item in json.loads(reply.body or b"")] == [200, 200]

    def test_a_fault_may_be_slow_too(self, quiet_meta: MetaWorld, client: InProcess) -> None:
        """A throttle after half a minute."""
        quiet_meta.fail(faults.THROTTLED_ACCOUNT, after=30)
        reply = client.raw("GET", CAMPAIGN)
        assert (reply.status, reply.after) == (400, 30)


class TestLag:
    """Reads that show the state before."""

    @pytest.fixture(autouse=True)
    def lag(self, quiet_meta: MetaWorld) -> None:
        """Let reads lag ten seconds behind."""
        quiet_meta.accounts["act_111"].read_lag = 10

    def test_an_ad_set(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """A read, alone or of a list, shows the old targeting for a while; the echo and the truth are new."""
        before = quiet_meta.targeting(adset)
        echo = json.loads(write(client, adset, fields="targeting{geo_locations}").body or b"")
        assert echo["targeting"]["geo_locations"]["regions"][0]["name"] == "Ohio"
        clock.advance(9)
        assert client.get(adset, fields="targeting")["targeting"] == before
        assert client.get(f"{CAMPAIGN}/adsets", fields="targeting")["data"][0]["targeting"] == before
        assert quiet_meta.states(adset) == {"OH"}
        clock.advance(1)
        assert client.get(adset, fields="targeting")["targeting"] != before

    def test_each_write_lags_for_itself(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """What is shown is what was there ten seconds ago."""
        seen = []
        for key in ("3878", "3886", "3853"):
            write(client, adset, key)
            clock.advance(6)
        for _ in range(3):
            shown = client.get(adset, fields="targeting")["targeting"]["geo_locations"]["regions"]
            seen.append(shown[0]["name"])
            clock.advance(4)
        assert seen == ["Texas", "Georgia", "Georgia"]
        assert quiet_meta.states(adset) == {"GA"}

    def test_two_writes_within_the_lag(self, client: InProcess, clock: Clock, adset: str) -> None:
        """Shortly after both, reads show neither."""
        for key in ("3878", "3886"):
            write(client, adset, key)
            clock.advance(3)
        shown = client.get(adset, fields="targeting")["targeting"]["geo_locations"]["regions"]
        assert shown[0]["name"] == "Florida"

    def test_an_ad(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """A person's pause is not seen at once, in lists filtered by status neither."""
        (ad,) = quiet_meta.ads_of(adset)
        quiet_meta.person_pauses(ad.id)
        clock.advance(9)
        assert client.get(ad.id, fields="status,effective_status") == {
            "id": ad.id,
            "status": "ACTIVE",
            "effective_status": "ACTIVE",
        }
        assert client.get(f"{adset}/ads", effective_status=["ACTIVE"])["data"] == [{"id": ad.id}]
        clock.advance(1)
        assert client.get(f"{adset}/ads", effective_status=["ACTIVE"])["data"] == []

    def test_what_breaks_breaks_behind_it(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """A look at the old state counts as a look: the ad is as broken as it would be without the lag."""
        (ad,) = quiet_meta.ads_of(adset)
        ad.breakage = Breakage.stubborn(reads=1)
        client.set_states(adset, "OH")
        client.republish(ad.id)
        for _ in range(2):
            assert client.get(ad.id, fields="effective_status")["effective_status"] == "ACTIVE"
        clock.advance(10)
        assert client.get(ad.id, fields="effective_status")["effective_status"] == "WITH_ISSUES"


class TestOddities:
    """What is shown is not what is stored."""

    @pytest.fixture
    def stored(self, quiet_meta: MetaWorld) -> str:
        """Add an ad set whose targeting can be written back."""
        return quiet_meta.add_adset(CAMPAIGN, "Stored", targeting=STORED)

    @staticmethod
    def echo_and_read(client: InProcess, adset: str) -> tuple[Any, Any]:
        """Write what is there, and return the targeting of the answer and that of a read."""
        echo = client.post(adset, targeting=STORED, fields="targeting")["targeting"]
        return echo, client.get(adset, fields="targeting")["targeting"]

    def test_without_one_both_are_equal(self, client: InProcess, stored: str) -> None:
        """An echo is what a read shows."""
        echo, read = self.echo_and_read(client, stored)
        assert echo == read

    def test_a_computed_key(self, quiet_meta: MetaWorld, client: InProcess, stored: str) -> None:
        """One of the two has a key more."""
        quiet_meta.echo_oddity = oddities.computed_key
        echo, read = self.echo_and_read(client, stored)
        assert echo == read | {"targeting_optimization": "none"}
        quiet_meta.echo_oddity, quiet_meta.read_oddity = None, oddities.computed_key
        echo, read = self.echo_and_read(client, stored)
        assert read == echo | {"targeting_optimization": "none"}

    def test_another_spelling(self, quiet_meta: MetaWorld, client: InProcess, stored: str) -> None:
        """The same states, told otherwise; what is stored does not change."""
        before = quiet_meta.targeting(stored)
        quiet_meta.echo_oddity = oddities.other_spelling
        echo, read = self.echo_and_read(client, stored)
        assert echo["geo_locations"]["regions"] == [{"key": 3852, "name": "Florida", "country": "US"}]
        assert echo["brand_safety_content_filter_levels"] == ["facebook_standard"]
        assert read == before == quiet_meta.targeting(stored)

    def test_a_wrong_region_name(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """A key whose name is another state's."""
        quiet_meta.read_oddity = oddities.wrong_region_name("OH", "North Dakota")
        client.set_states(adset, "OH", "GA")
        shown = client.get(adset, fields="targeting")["targeting"]["geo_locations"]["regions"]
        assert [(region["key"], region["name"]) for region in shown] == [("3853", "Georgia"), ("3878", "North Dakota")]

    @pytest.mark.parametrize("value", [None, [], "US", 7])
    def test_a_field_of_one_row(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, stored: str, value: Any
    ) -> None:
        """One ad set is listed without targeting, or with something else; the others are as ever."""
        quiet_meta.read_oddity = oddities.replaced(adset, "targeting", value)
        odd, other = client.get(f"{CAMPAIGN}/adsets", fields="targeting")["data"]
        assert odd == {"id": adset} | ({} if value is None else {"targeting": value})
        assert other["targeting"] == quiet_meta.targeting(stored)


class TestFaults:
    """Scripts for all writes, and answers that say nothing."""

    @pytest.mark.parametrize("hold", [faults.ACCOUNT_HOLD, faults.ACCOUNT_HOLD_400])
    def test_an_account_hold_meets_writes_only(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, hold: Reply
    ) -> None:
        """Reads go on, alone and in batches, until a person has ended it."""
        (ad,) = quiet_meta.ads_of(adset)
        fault = quiet_meta.fail(hold, on="POST", times=None)
        assert client.error("POST", adset, name="New") == (hold.status, 31, 3858385)
        assert client.get(adset) == {"id": adset}
        read, written = client.post(
            "",
            batch=[
                {"method": "GET", "relative_url": ad.id},
                {"method": "POST", "relative_url": ad.id, "body": "status=ACTIVE"},
            ],
        )
        assert (read["code"], written["code"]) == (200, hold.status)
        assert json.loads(written["body"])["error"]["code"] == 31
        assert quiet_meta.writes == []
        fault.end()
        client.republish(ad.id)

    @pytest.mark.parametrize("status", [200, 400, 403, 404, 413, 429, 500, 502, 503, 504])
    @pytest.mark.parametrize("applied", [True, False])
    def test_a_page_says_nothing_about_the_write(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, status: int, *, applied: bool
    ) -> None:
        """HTML with any status, after the write or instead of it."""
        quiet_meta.fail(faults.html(status, "Error"), on="POST adset", applied=applied)
        reply = write(client, adset)
        assert (reply.status, reply.content_type) == (status, "text/html")
        assert quiet_meta.states(adset) == ({"OH"} if applied else {"FL"})

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (faults.THROTTLED_ACCOUNT_BARE, (400, 17, 2446079)),
            (faults.THROTTLED_USE_CASE_BARE, (400, 80004, 2446079)),
            (faults.REQUEST_TIMED_OUT, (500, 2, 1504018)),
            (faults.REQUEST_TIMED_OUT_100, (400, 100, 1504018)),
        ],
    )
    def test_more_envelopes(
        self, quiet_meta: MetaWorld, client: InProcess, fault: Reply, expected: tuple[int, int, int]
    ) -> None:
        """Throttles that do not say how long, and time-outs on Meta's side."""
        quiet_meta.fail(fault, on="GET campaign")
        assert client.error("GET", CAMPAIGN) == expected
        assert "Usage" not in str(fault.headers)
