"""The whole: starting, stopping, scenarios, and the program for other shells."""

import pytest
import requests

from sandbox import SCENARIOS, ClosrtechWorld, MetaWorld, Sandbox
from sandbox.aws import LEDGER_TABLE
from sandbox.scenarios import legacy_env

CAMPAIGNS = {"veterans": "VND_VETERAN_LEADS", "truckers": "VND_TRUCKER_LEADS", "mortgage": "VND_MORTGAGE_LEADS"}


def test_reset_empties_everything(sandbox: Sandbox) -> None:
    """After a reset there is nothing, and nothing has been asked."""
    sandbox.load("dead token")
    requests.get(sandbox.meta.url, timeout=5).close()
    requests.get(sandbox.closrtech.url, timeout=5).close()
    sandbox.aws.client("sesv2").get_account()
    sandbox.reset()
    assert not sandbox.meta.campaigns
    assert not sandbox.meta.ads
    assert not sandbox.meta.dead_tokens
    assert not sandbox.closrtech.demand
    assert sandbox.aws.client("ssm").describe_parameters()["Parameters"] == []
    assert sandbox.meta.requests == []
    assert sandbox.closrtech.requests == []
    assert [request.operation for request in sandbox.aws.requests] == ["DescribeParameters"]


def test_environment(sandbox: Sandbox) -> None:
    """A process on this machine and one in a container get the same, but for the name of the host."""
    here = sandbox.environment()
    assert here["CLOSRADS_GRAPH_URL"] == sandbox.meta.url
    assert here["AWS_ENDPOINT_URL"] == sandbox.aws.url
    assert here["CLOSRADS_PARAMETER_PATH"] == "/closrads/sandbox"
    assert here["CLOSRADS_LEDGER_TABLE"] == LEDGER_TABLE
    there = sandbox.environment(host="host.docker.internal")
    assert there.keys() == here.keys()
    assert there["CLOSRADS_PARAMETER_PATH"] == "/closrads/container"
    assert there["CLOSRADS_GRAPH_URL"] == sandbox.meta.url.replace("127.0.0.1", "host.docker.internal")
    assert "127.0.0.1" not in str(there)


class TestOnExchange:
    """A hook around each HTTP exchange; AWS has its own tests."""

    @pytest.fixture(params=["meta", "closrtech"])
    def world(self, sandbox: Sandbox, request: pytest.FixtureRequest) -> MetaWorld | ClosrtechWorld:
        """Return one of the two worlds."""
        world: MetaWorld | ClosrtechWorld = getattr(sandbox, request.param)
        return world

    def test_before_and_after(self, sandbox: Sandbox, world: MetaWorld | ClosrtechWorld) -> None:
        """Nothing is done at the first moment, all at the second; a reset takes the hook away."""
        seen: list[tuple[str, int]] = []
        world.on_exchange = lambda moment: seen.append((moment, len(world.requests)))
        requests.get(world.url, timeout=5).close()
        assert seen == [("before", 0), ("after", 1)]
        sandbox.reset()
        requests.get(world.url, timeout=5).close()
        assert len(seen) == 2

    def test_outside_of_locks(self, world: MetaWorld | ClosrtechWorld) -> None:
        """Another exchange goes through while one is held up, at either moment."""
        answers = []

        def ask_again(_: str) -> None:
            world.on_exchange = None
            with requests.get(world.url, timeout=5) as answer:
                answers.append(answer.status_code)

        world.on_exchange = ask_again
        requests.get(world.url, timeout=5).close()
        assert len(answers) == 2

    @pytest.mark.parametrize(("moment", "done"), [("before", 0), ("after", 1)])
    def test_a_dropped_connection(self, world: MetaWorld | ClosrtechWorld, moment: str, done: int) -> None:
        """A hook may close the connection at either moment."""

        def drop(now: str) -> None:
            if now == moment:
                raise ConnectionAbortedError

        world.on_exchange = drop
        with pytest.raises(requests.ConnectionError):
            requests.get(world.url, timeout=5)
        assert len(world.requests) == done


def matching(sandbox: Sandbox) -> dict[str, bool]:
    """Tell of each ad set, by name, whether it has the states that are wanted."""
    result = {}
    for slug, code in CAMPAIGNS.items():
        name = f"/closrads/sandbox/campaigns/{slug}/fb_campaign_ids"
        ids = sandbox.aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"].split(",")
        wanted = {state for state, leads in sandbox.closrtech.demand[code].items() if leads > 0}
        for adset in sandbox.meta.adsets.values():
            if adset.campaign.id in ids:
                result[adset.name] = sandbox.meta.states(adset.id) == wanted
    return result


class TestScenarios:
    """Named days."""

    def test_unknown(self, sandbox: Sandbox) -> None:
        """The error lists what there is."""
        with pytest.raises(KeyError, match=r"quiet day.*closrtech down"):
            sandbox.load("good day")

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_each_has_the_base_world(self, sandbox: Sandbox, name: str) -> None:
        """Three campaigns, four Meta campaigns, eight ad sets of two to four ads, and one sentence about it."""
        sandbox.load(name)
        assert [campaign.account.id for campaign in sandbox.meta.campaigns.values()] == ["act_111"] * 2 + [
            "act_222"
        ] * 2
        assert [len(campaign.adsets) for campaign in sandbox.meta.campaigns.values()] == [3, 2, 2, 1]
        assert all(2 <= len(adset.ads) <= 4 for adset in sandbox.meta.adsets.values())
        ids = [*sandbox.meta.campaigns, *sandbox.meta.adsets, *sandbox.meta.ads]
        assert all(len(each) == 18 and each.isdecimal() for each in ids)
        assert len(set(ids)) == len(ids)
        assert set(sandbox.closrtech.demand) == set(CAMPAIGNS.values())
        sentence = SCENARIOS[name].__doc__ or ""
        assert sentence.endswith(".")
        assert "\n" not in sentence

    def test_quiet_day(self, sandbox: Sandbox) -> None:
        """All ad sets are right, all ads healthy, and the demand is of a believable size."""
        sandbox.load("quiet day")
        assert matching(sandbox) == dict.fromkeys(matching(sandbox), True)
        assert {ad.effective_status for ad in sandbox.meta.ads.values()} == {"ACTIVE"}
        for demand in sandbox.closrtech.demand.values():
            assert 12 <= sum(leads > 0 for leads in demand.values()) <= 30
            assert 0 in demand.values()

    def test_change_day(self, sandbox: Sandbox) -> None:
        """One ad set is right already."""
        sandbox.load("change day")
        assert [name for name, right in matching(sandbox).items() if right] == ["Refi - Lookalike"]

    def test_parameters_are_complete(self, sandbox: Sandbox) -> None:
        """What the function needs is there, under both paths."""
        sandbox.load("change day")
        pages = sandbox.aws.client("ssm").get_paginator("describe_parameters").paginate()
        names = {each["Name"] for page in pages for each in page["Parameters"]}
        relative = {
            "closrtech/base_url",
            "closrtech/email",
            "closrtech/password",
            "meta/access_token",
            "email/sender",
            "email/recipients",
            "limits/verify_wait_seconds",
        } | {
            f"campaigns/{slug}/{name}"
            for slug in CAMPAIGNS
            for name in ("name", "closrtech_campaign", "fb_ad_account_id", "fb_campaign_ids")
        }
        assert names == {f"/closrads/{path}/{name}" for path in ("sandbox", "container") for name in relative}

    def test_the_troubles(self, sandbox: Sandbox) -> None:
        """Each scenario holds the trouble that it is named after."""
        sandbox.load("pre-broken ad")
        assert [ad.effective_status for ad in sandbox.meta.ads.values()].count("WITH_ISSUES") == 1
        for name, seconds in (("breaks after update", 0), ("breaks late", 600)):
            sandbox.load(name)
            (breakage,) = (ad.breakage for ad in sandbox.meta.ads.values() if ad.breakage is not None)
            assert breakage.seconds == seconds
        sandbox.load("all zeros")
        assert [any(demand.values()) for demand in sandbox.closrtech.demand.values()] == [True, False, True]
        sandbox.load("dead token")
        assert sandbox.meta.token_refusal(sandbox.meta.token) is not None
        sandbox.load("throttled")
        quota = sandbox.meta.accounts["act_111"].quota
        assert quota is not None
        assert quota.tier.score == 60
        sandbox.load("contradictory targeting")
        targetings = [adset.targeting for adset in sandbox.meta.adsets.values()]
        assert sum("countries" in targeting["geo_locations"] for targeting in targetings) == 1
        assert sum("excluded_geo_locations" in targeting for targeting in targetings) == 1
        sandbox.load("closrtech down")
        assert requests.get(f"{sandbox.closrtech.url}/demand.php", timeout=5).status_code == 503


def test_the_file_of_the_system_before(sandbox: Sandbox) -> None:
    """It says of the same business what the parameters say."""
    sandbox.load("quiet day")
    lines = dict(line.split("=", 1) for line in legacy_env(sandbox).splitlines() if "=" in line)
    path = "/closrads/sandbox/campaigns/mortgage"
    found = sandbox.aws.client("ssm").get_parameters_by_path(Path=path)["Parameters"]
    values = {each["Name"].removeprefix(f"{path}/"): each["Value"] for each in found}

    assert lines["MORTGAGE_FB_CAMPAIGN_IDS"] == values["fb_campaign_ids"]
    assert lines["MORTGAGE_FB_AD_ACCOUNT_ID"] == values["fb_ad_account_id"]
    assert lines["MORTGAGE_CLOSRTECH_CAMPAIGN"] == values["closrtech_campaign"]
    assert lines["TRUCKERS_FB_ACCESS_TOKEN"] == sandbox.meta.token
