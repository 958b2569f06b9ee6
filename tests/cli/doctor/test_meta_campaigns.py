"""`doctor` on Meta campaigns and on ad sets that are left alone."""

import pytest

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox, faults
from tests.cli.conftest import Call
from tests.cli.doctor.cases import VETERANS, Case, assert_named, campaign, found, put

pytestmark = pytest.mark.usefixtures("empty_stack")


def adset_for_campaign(sandbox: Sandbox) -> None:
    """Put an ad set's id where a Meta campaign's belongs."""
    adset = sandbox.meta.add_adset(VETERANS, "Wrong", "FL", adset_id="120210000000000501")
    put(campaigns__veterans__fb_campaign_ids=adset)(sandbox)


BROKEN: dict[str, Case] = {
    "Meta cannot be reached, as to a Meta campaign": (
        lambda sandbox: sandbox.meta.refuse_connections(),
        f"Meta campaign {VETERANS}",
        Verdict.FAILED,
        "of veterans: Meta gave no answer",
        "check whether this machine reaches Meta",
    ),
    "a Meta campaign does not exist": (
        put(campaigns__veterans__fb_campaign_ids="120210000000009900"),
        "Meta campaign 120210000000009900",
        Verdict.FAILED,
        "of veterans: ",
        "campaigns/veterans/fb_campaign_ids",
    ),
    "a Meta campaign is an ad set": (
        adset_for_campaign,
        "Meta campaign 120210000000000501",
        Verdict.FAILED,
        "of veterans: 120210000000000501 is the id of the ad set “Wrong”, not of a Meta campaign",
        "campaigns/veterans/fb_campaign_ids",
    ),
    "a Meta campaign is another account's": (
        put(campaigns__veterans__fb_ad_account_id="act_222"),
        f"Meta campaign {VETERANS}",
        Verdict.FAILED,
        "belongs to act_111, not to act_222",
        "fb_ad_account_id",
    ),
    "a Meta campaign is in a special ad category": (
        campaign(special_ad_categories=("HOUSING",)),
        f"Meta campaign {VETERANS}",
        Verdict.WARNING,
        "HOUSING",
        "excluded locations",
    ),
    "a pattern names no ad set": (
        put(campaigns__veterans__skip_adsets="broad*,Evergren"),
        "ad sets left alone: veterans",
        Verdict.WARNING,
        "1 of 3: Broad 30+; no ad set matches “Evergren”",
        "campaigns/veterans/skip_adsets",
    ),
    "every ad set is left alone": (
        put(campaigns__veterans__skip_adsets="*"),
        "ad sets left alone: veterans",
        Verdict.WARNING,
        "so nothing follows the demand",
        "switch the campaign off",
    ),
    "a Meta campaign is paused": (
        campaign(status="PAUSED"),
        f"Meta campaign {VETERANS}",
        Verdict.WARNING,
        "is paused",
        "leave them alone",
    ),
    "a Meta campaign is archived": (
        campaign(status="ARCHIVED"),
        f"Meta campaign {VETERANS}",
        Verdict.FAILED,
        "is archived",
        "take it out of",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_meta_campaign(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


def test_ad_sets_that_are_left_alone(call: Call, business: Sandbox) -> None:
    """Each is named, also one that is off, which no run reads."""
    alone = business.meta.add_adset(VETERANS, "Evergreen", "FL")
    business.meta.person_pauses(alone)
    business.aws.put_parameters({"campaigns/veterans/skip_adsets": ["evergreen"]})

    _, findings = found(call)

    finding = findings["ad sets left alone: veterans"]
    assert (finding["verdict"], finding["said"]) == ("ok", "1 of 4: Evergreen")


def test_a_token_that_is_refused_elsewhere_only(call: Call, business: Sandbox) -> None:
    """Then no other line says that something is wrong."""
    business.meta.fail(faults.TOKEN_EXPIRED, on=lambda operation: operation.path == VETERANS)

    status, findings = found(call)

    assert status == 1
    assert findings["Meta campaigns of act_111"]["verdict"] == "failed"
