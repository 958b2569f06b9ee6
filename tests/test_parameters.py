"""The texts of parameters and environment variables → settings, or all that is wrong with them."""

from collections.abc import Mapping
from typing import Any

import pytest

from closrads.domain.settings import Limits, Settings
from closrads.errors import ConfigError
from closrads.parameters import parse_settings

FULL: dict[str, str | list[str]] = {
    "closrtech/base_url": "https://feed.example.test/api/",
    "closrtech/email": "feed@example.test",
    "closrtech/password": "FAKE-password",
    "meta/access_token": "EAAFAKESHARED",
    "meta/app_secret": "fakesecret",
    "campaigns/veterans/closrtech_campaign": "VND_VETERAN_LEADS",
    "campaigns/veterans/fb_ad_account_id": "act_111",
    "campaigns/veterans/fb_campaign_ids": ["901"],
    "campaigns/home-loans/name": "Mortgage",
    "campaigns/home-loans/closrtech_campaign": "VND_MORTGAGE_LEADS",
    "campaigns/home-loans/fb_ad_account_id": "act_222",
    "campaigns/home-loans/fb_campaign_ids": ["902", "903"],
    "campaigns/home-loans/fb_access_token": "EAAFAKEOWN",
    "campaigns/home-loans/enabled": "Yes",
    "campaigns/home-loans/limits/max_removed_pct": "50",
    "email/sender": "reports@example.test",
    "email/reply_to": "media@example.test",
    "email/recipients": ["owner@example.test", "buyer@example.test"],
    "limits/max_removed_pct": "60",
    "limits/wave_size": "5",
    "limits/verify_wait_seconds": "0.5",
    "limits/max_adsets": "40",
    "limits/min_demand": "7",
    "limits/add_after_days": "2",
    "limits/remove_after_days": "1",
    "campaigns/home-loans/limits/remove_after_days": "0",
}
UNKNOWN = "is not a parameter of this system"


def settings(changes: dict[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Parse the full set of parameters with some changes (None leaves one out); a list arrives as SSM hands it out."""
    values = {name: value for name, value in (FULL | (changes or {})).items() if value is not None}
    texts = {name: ",".join(value) if isinstance(value, list) else value for name, value in values.items()}
    return parse_settings("/closrads/sandbox", texts, environment or {})


def problems(changes: dict[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Return what parsing complains about."""
    with pytest.raises(ConfigError) as caught:
        settings(changes, environment)
    return str(caught.value)


@pytest.mark.parametrize("end", ["/demand.php", "/demand.php/"])
def test_the_address_of_the_page_itself_means_the_same(end: str) -> None:
    """Who copies it from a browser would ask for /demand.php/demand.php every day."""
    loaded = settings({"closrtech/base_url": f"https://feed.example.test/api{end}"})

    assert loaded.closrtech.base_url == "https://feed.example.test/api"


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("campaigns/veterans/color", "misspelled?"),
        ("campaigns/veterans/fb_campain_id", "did you mean campaigns/veterans/fb_campaign_ids?"),
        ("closertech/password", "did you mean closrtech/password?"),
        ("limit/wave_size", "did you mean limits/wave_size?"),
        ("limits/min_demnd", "did you mean limits/min_demand?"),
        ("limits/MIN_DEMAND", "did you mean limits/min_demand?"),
        ("min_demand", "did you mean limits/min_demand?"),
        ("campaigns/veterans/limits/min_demnd", "did you mean campaigns/veterans/limits/min_demand?"),
        ("campaigns/veterans/max_adset", "did you mean campaigns/veterans/limits/max_adsets?"),
        ("wholly-different", "misspelled?"),
    ],
)
def test_a_name_that_is_like_another(name: str, guess: str) -> None:
    """It is named only if it is likely to be meant."""
    assert f"{name}: is not a parameter of this system: {guess}" in problems({name: "1"})


def test_the_ledgers_table_may_be_missing() -> None:
    """Whether a run can do without it depends on the run."""
    assert settings(environment={"CLOSRADS_LEDGER_TABLE": "closrads-sandbox"}).ledger_table == "closrads-sandbox"
    assert settings().ledger_table == ""


def test_a_slug_makes_the_name() -> None:
    """Without a name of its own a campaign is called by its slug in title case."""
    loaded = settings({"campaigns/home-loans/name": None})

    assert loaded.campaigns[0].name == "Home Loans"


def test_a_limit_of_zero_is_a_limit() -> None:
    """Zero is a value, not the absence of one."""
    loaded = settings({"limits/max_removed_pct": "0", "campaigns/home-loans/limits/max_removed_pct": None})

    assert {campaign.limits.max_removed_pct for campaign in loaded.campaigns} == {0}


def test_defaults() -> None:
    """What is optional may be left out."""
    optional = [name for name in FULL if name.startswith(("limits/", "email/")) or name.endswith("app_secret")]
    optional += ["campaigns/home-loans/limits/max_removed_pct", "campaigns/home-loans/enabled"]
    loaded = settings(dict.fromkeys(optional))

    assert (loaded.email, loaded.app_secret) == (None, None)
    assert {campaign.limits for campaign in loaded.campaigns} == {Limits()}
    assert all(campaign.enabled for campaign in loaded.campaigns)


def test_every_problem_is_listed_at_once_and_no_value() -> None:
    """One round of repair is enough, and the message may be shown to anybody."""
    said = problems(
        {
            "closrtech/password": None,
            "closrtech/base_url": "http://feed.example.test",
            "campaigns/veterans/fb_ad_account_id": "VALUE-1",
            "campaigns/veterans/fb_campaign_ids": ["VALUE-2", ""],
            "campaigns/veterans/closrtech_campagne": "VALUE-3",
            "campaigns/veterans/skip_adsets": ["VALUE-8", "", "[VALUE-9"],
            "campaigns/home-loans/enabled": "VALUE-4",
            "email/recipients": ["VALUE-5"],
            "limits/max_adsets": "VALUE-6",
            "limits/min_demand": "0",
            "limits/add_after_days": "31",
            "limits/remove_after_days": "-1",
            "limits/verify_wait_seconds": "VALUE-7",
        },
    )

    likely = "campaigns/veterans/closrtech_campaign"
    patterns = "/closrads/sandbox/campaigns/veterans/skip_adsets"
    remedy = "close each [ with ] and name characters in their order, or write [[] for the sign itself"
    assert said.splitlines() == [
        "/closrads/sandbox/campaigns/home-loans/enabled: must be true, 1, yes, false, 0 or no",
        f"/closrads/sandbox/campaigns/veterans/closrtech_campagne: {UNKNOWN}: did you mean {likely}?",
        "/closrads/sandbox/campaigns/veterans/fb_ad_account_id: must be act_ and digits",
        "/closrads/sandbox/campaigns/veterans/fb_campaign_ids: has an empty entry (StringList: a,b,c)",
        "/closrads/sandbox/campaigns/veterans/fb_campaign_ids: must be a list of ids made of digits",
        f"{patterns}: has a pattern that no name can match: {remedy}",
        "/closrads/sandbox/campaigns/veterans/skip_adsets: has an empty entry (StringList: a,b,c)",
        "/closrads/sandbox/closrtech/base_url: must be a plain https:// address, without query, fragment or login",
        "/closrads/sandbox/closrtech/password: is missing",
        "/closrads/sandbox/email/recipients: has an entry that is no mail address",
        "/closrads/sandbox/limits/add_after_days: must be a whole number from 0 to 30",
        "/closrads/sandbox/limits/max_adsets: must be a whole number from 1 to 100000",
        "/closrads/sandbox/limits/min_demand: must be a whole number from 1 to 1000000",
        "/closrads/sandbox/limits/remove_after_days: must be a whole number from 0 to 30",
        "/closrads/sandbox/limits/verify_wait_seconds: must be a number from 0 to 60",
    ]


def test_ad_sets_that_are_left_alone() -> None:
    """Patterns may contain blanks and what else a name may, but no comma; most campaigns have none."""
    found = settings({"campaigns/veterans/skip_adsets": ["Evergreen *", "Test [12]", "[[]Old] ?"]})

    assert {campaign.slug: campaign.skip_adsets for campaign in found.campaigns if campaign.skip_adsets} == {
        "veterans": ("Evergreen *", "Test [12]", "[[]Old] ?")
    }


@pytest.mark.parametrize("name", sorted(set(FULL) - {"campaigns/home-loans/limits/max_removed_pct"}))
def test_a_blank_value_is_a_problem_of_that_parameter(name: str) -> None:
    """A parameter that holds only blanks is never taken for one that was left out."""
    assert f"/closrads/sandbox/{name}: is empty" in problems({name: " "})


@pytest.mark.parametrize("unseen", ["\n", "\u00a0", "\u200b", "\u2060", "\ufeff", "\ufeff \n"])
def test_what_cannot_be_seen_around_a_value_is_no_part_of_it(unseen: str) -> None:
    """Editors and web pages add it: Meta would refuse such a token, and nobody could see why."""
    changes = {
        "meta/access_token": f"{unseen}EAAFAKE{unseen}",
        "campaigns/veterans/fb_ad_account_id": f"{unseen}act_111{unseen}",
        "campaigns/veterans/fb_campaign_ids": [f"{unseen}1{unseen}", f"{unseen}2{unseen}"],
    }

    _, veterans = settings(changes).campaigns

    assert veterans.fb_access_token.reveal() == "EAAFAKE"
    assert (veterans.fb_ad_account_id, veterans.fb_campaign_ids) == ("act_111", ("1", "2"))


@pytest.mark.parametrize(
    "name",
    [
        "closrtech/base_url",
        "closrtech/email",
        "closrtech/password",
        "meta/access_token",
        "campaigns/veterans/closrtech_campaign",
        "campaigns/veterans/fb_ad_account_id",
        "campaigns/veterans/fb_campaign_ids",
    ],
)
def test_what_is_required_is_missed(name: str) -> None:
    """Each required parameter is named when it is missing."""
    assert problems({name: None}) == f"/closrads/sandbox/{name}: is missing"


@pytest.mark.parametrize("half", ["email/sender", "email/recipients"])
def test_half_a_mail_set_up_is_a_problem(half: str) -> None:
    """A sender without recipients, or the reverse, would silently send nothing."""
    assert problems({half: None}) == f"/closrads/sandbox/{half}: is missing: give both or neither"


def test_a_list_names_nothing_twice() -> None:
    """A Meta campaign that is named twice would be changed twice."""
    said = problems({"campaigns/veterans/fb_campaign_ids": ["901", "901"]})

    assert said == "/closrads/sandbox/campaigns/veterans/fb_campaign_ids: names an entry twice"


def test_two_campaigns_may_not_share_a_meta_campaign() -> None:
    """Two feeds for the same ad sets would undo each other every day."""
    said = problems({"campaigns/home-loans/fb_campaign_ids": ["901", "903"]})

    assert said == (
        "/closrads/sandbox/campaigns/veterans/fb_campaign_ids: names a Meta campaign that campaigns/home-loans has "
        "too: the two would undo each other"
    )


def test_a_campaign_that_is_switched_off_may_be_incomplete() -> None:
    """It blocks nothing, not even the campaign that has taken over its Meta campaign; only its switch must be clear."""
    loaded = settings(
        {
            "campaigns/home-loans/enabled": "no",
            "campaigns/home-loans/closrtech_campaign": None,
            "campaigns/home-loans/fb_ad_account_id": "to be done",
            "campaigns/home-loans/fb_campaign_ids": ["901"],
        },
    )

    assert [campaign.enabled for campaign in loaded.campaigns] == [False, True]


@pytest.mark.parametrize(
    ("slug", "value", "guess"),
    [
        ("vetrans", "false", "did you mean veterans?"),
        ("vetrans", "true", "did you mean veterans?"),
        ("Veterans", "false", "did you mean veterans?"),
        ("homeloans", "off", "did you mean home-loans?"),
        ("zzz", "false", "there is no campaign zzz"),
    ],
)
def test_a_switch_below_a_misspelled_slug_stops_nobody(slug: str, value: str, guess: str) -> None:
    """Neither the other campaigns, nor, as somebody believes, one that it was meant for: so it is named."""
    loaded = settings({f"campaigns/{slug}/enabled": value})

    assert [campaign.slug for campaign in loaded.campaigns if campaign.enabled] == ["home-loans", "veterans"]
    assert [campaign.slug for campaign in loaded.campaigns if not campaign.enabled] == []
    assert loaded.notices == (
        f"/closrads/sandbox/campaigns/{slug}: has nothing but `enabled`, which switches no campaign on or off: {guess}",
    )


@pytest.mark.parametrize("name", ["skip_adsets", "limits/min_demand"])
def test_what_is_set_below_a_misspelled_slug_is_not_a_campaign_to_complete(name: str) -> None:
    """It is meant for a campaign that there is; a slug that is like none is one that is being set up."""
    said = "/closrads/sandbox/campaigns/vetrans: is no campaign: did you mean campaigns/veterans?"
    assert problems({f"campaigns/vetrans/{name}": "5"}) == said
    assert "campaigns/zzz/fb_campaign_ids: is missing" in problems({f"campaigns/zzz/{name}": "5"})


def test_an_empty_parameter_that_nothing_needs_is_to_be_deleted() -> None:
    """As of whoever wants no ad set left alone any more."""
    said = "campaigns/veterans/skip_adsets: is empty: to do without it, delete the parameter"
    assert said in problems({"campaigns/veterans/skip_adsets": " "})


def test_a_campaign_that_is_off_and_has_more_than_its_switch_is_no_mistake() -> None:
    """It is being set up, or taken apart."""
    loaded = settings({"campaigns/soon/enabled": "false", "campaigns/soon/name": "Soon"})

    assert loaded.notices == ()
    assert {campaign.slug: campaign.enabled for campaign in loaded.campaigns}["soon"] is False


def test_a_misspelled_slug_alone_is_no_campaign() -> None:
    """A stage that has nothing else has nothing to run."""
    changes: dict[str, Any] = {name: None for name in FULL if name.startswith("campaigns/")}

    assert "no campaign is set up" in problems(changes | {"campaigns/vetrans/enabled": "false"})


def test_without_any_campaign_there_is_nothing_to_do() -> None:
    """No campaign at all is a mistake, not a quiet day."""
    assert "no campaign is set up" in problems({name: None for name in FULL if name.startswith("campaigns/")})


@pytest.mark.parametrize("slug", ["Veterans", "-x", "a b"])
def test_a_slug_must_be_usable(slug: str) -> None:
    """Events and logs name campaigns by slug, so a slug is a plain lower-case word."""
    assert f"/closrads/sandbox/campaigns/{slug}: is not a usable name" in problems({f"campaigns/{slug}/name": "x"})


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://feed.example.test", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://[::1]:8000", True),
        ("http://host.docker.internal:8000", True),
        ("http://feed.example.test", False),
        ("http://127.0.0.1.example.test", False),
        ("ftp://feed.example.test", False),
        ("feed.example.test", False),
        ("https://user:pw@feed.example.test", False),
        ("https://feed.example.test/?x=1", False),
        ("https://feed.example.test/#x", False),
        ("http://[::1", False),
        ("https://feed.example.test:99999", False),
        ("https://feed.example.test/a b", False),
        ("https://feed.example.test/a\nb", False),
        ("https://", False),
    ],
)
def test_plain_http_only_to_a_stand_in_nearby(url: str, *, accepted: bool) -> None:
    """The password and the token travel in the URL, so it must be encrypted outside this machine."""
    if accepted:
        assert settings({"closrtech/base_url": url}).closrtech.base_url == url
    else:
        assert "closrtech/base_url: must be" in problems({"closrtech/base_url": url})


def test_metas_address_follows_the_same_rule() -> None:
    """The token must not go out in plain text either; without the variable it goes to Meta."""
    said = problems(environment={"CLOSRADS_GRAPH_URL": "http://graph.example.test"})

    assert said == "CLOSRADS_GRAPH_URL: must be a plain https:// address, without query, fragment or login"
    assert settings().graph_url == "https://graph.facebook.com"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, True)]
    + [(word, True) for word in ("true", "1", "yes", "TRUE", "Yes")]
    + [(word, False) for word in ("false", "0", "no", "False", "NO")],
)
def test_dry_run_variable(value: str | None, *, expected: bool) -> None:
    """DRY_RUN knows six words in any case, and without it runs only look."""
    assert settings(environment={} if value is None else {"DRY_RUN": value}).dry_run is expected


@pytest.mark.parametrize("value", ["", "maybe", "off", "2", "falsch"])
def test_any_other_word_in_dry_run_is_an_error(value: str) -> None:
    """A typo is neither a yes nor a no."""
    assert problems(environment={"DRY_RUN": value}) == "DRY_RUN: must be true, 1, yes, false, 0 or no"


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "New York"])
def test_a_time_zone_must_exist(name: str) -> None:
    """A misspelled time zone is named, not replaced."""
    assert problems(environment={"CLOSRADS_TIMEZONE": name}).startswith("CLOSRADS_TIMEZONE: is not a time zone")
