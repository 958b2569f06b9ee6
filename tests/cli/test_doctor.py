"""`doctor`: each thing that a run needs, as it should be and not, and that looking changes nothing."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from closrads.cli.app import app
from closrads.cli.checks import Check, Verdict, run_check
from closrads.clock import Clock
from closrads.domain.changes import ChangeState
from closrads.domain.tiers import KnownTier
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.meta.graph import API_VERSION
from closrads.meta.versions import LIVES, SHORTEST_LIFE, VersionLife
from closrads.state_mapper import REGION_FILE
from sandbox import Sandbox, faults
from sandbox.aws import DROPPED, LEDGER_TABLE, AwsRequest
from sandbox.scenarios import SENDER
from tests.cli.conftest import Call
from tests.world import FakeTime

Breaking = Callable[[Sandbox], object]
STACK = "stack closrads-sandbox"
VETERANS = "120210000000001100"


@pytest.fixture(autouse=True)
def empty_stack(business: Sandbox) -> None:
    """Deploy a stack; what is in it, `test_doctor_stack` looks at."""
    template = {"Parameters": {}, "Resources": {"Other": {"Type": "AWS::SQS::Queue"}}, "Outputs": {}}
    client = business.aws.client("cloudformation")
    client.create_stack(StackName="closrads-sandbox", TemplateBody=json.dumps(template))


def put(**parameters: str) -> Breaking:
    """Return what puts parameters."""
    return lambda sandbox: sandbox.aws.put_parameters(
        {name.replace("__", "/"): text for name, text in parameters.items()}
    )


def delete(*names: str) -> Breaking:
    """Return what deletes parameters."""
    return lambda sandbox: sandbox.aws.delete_parameters(*names)


def _attributes(target: Callable[[Sandbox], object], attributes: dict[str, Any]) -> Breaking:
    def breaking(sandbox: Sandbox) -> None:
        for name, value in attributes.items():
            setattr(target(sandbox), name, value)

    return breaking


def meta(**attributes: Any) -> Breaking:
    """Return what sets attributes of Meta."""
    return _attributes(lambda sandbox: sandbox.meta, attributes)


def account(**attributes: Any) -> Breaking:
    """Return what sets attributes of an ad account."""
    return _attributes(lambda sandbox: sandbox.meta.accounts["act_111"], attributes)


def campaign(**attributes: Any) -> Breaking:
    """Return what sets attributes of a Meta campaign."""
    return _attributes(lambda sandbox: sandbox.meta.campaigns[VETERANS], attributes)


def ses(**attributes: Any) -> Breaking:
    """Return what sets attributes of the account at SES."""
    return _attributes(lambda sandbox: sandbox.aws.ses, attributes)


def nothing(sandbox: Sandbox) -> None:
    """Take all parameters away."""
    sandbox.aws.reset()
    sandbox.aws.verify_sender(SENDER)


def hidden_configuration_set(sandbox: Sandbox) -> None:
    """Give the sender a configuration set that the operator may not see."""
    sandbox.aws.ses.default_configuration_sets = {SENDER: "daily"}
    sandbox.aws.fail("sesv2", "GetConfigurationSet", "AccessDeniedException", 403)


def no_backup(sandbox: Sandbox) -> None:
    """Switch point-in-time recovery off."""
    off = {"PointInTimeRecoveryEnabled": False}
    sandbox.aws.client("dynamodb").update_continuous_backups(
        TableName=LEDGER_TABLE, PointInTimeRecoverySpecification=off
    )


def moved_florida(sandbox: Sandbox) -> None:
    """Have Meta's search give Florida another key."""
    table = json.loads(REGION_FILE.read_text(encoding="utf-8"))
    table["FL"]["key"] = "1"
    rows = [{"key": each["key"], "name": each["name"], "country_code": "US"} for each in table.values()]
    sandbox.meta.fail(faults.answer({"data": rows}), on="GET search")


def adset_for_campaign(sandbox: Sandbox) -> None:
    """Put an ad set's id where a Meta campaign's belongs."""
    adset = sandbox.meta.add_adset(VETERANS, "Wrong", "FL", adset_id="120210000000000501")
    put(campaigns__veterans__fb_campaign_ids=adset)(sandbox)


def open_change(state: ChangeState, **parameters: str) -> Breaking:
    """Return what has a live run leave a change of Veterans open, in a state, and then puts parameters."""

    def breaking(sandbox: Sandbox) -> None:
        assert CliRunner().invoke(app, ["run", '{"dry_run": false, "campaigns": ["veterans"]}', "--yes"]).exit_code == 0
        item = next(item for item in sandbox.aws.ledger() if item["sk"].startswith("CHANGE#"))
        sandbox.aws.client("dynamodb").update_item(
            TableName=LEDGER_TABLE,
            Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
            UpdateExpression="SET #state = :state, open_since = :since",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":state": {"S": state.value}, ":since": {"S": item["prepared_at"]}},
        )
        sandbox.aws.put_parameters(parameters)

    return breaking


BROKEN: dict[str, tuple[Breaking, str, Verdict, str, str]] = {
    "nothing is there": (
        nothing,
        "parameters",
        Verdict.FAILED,
        "there are none below /closrads/sandbox",
        "push-config",
    ),
    "a parameter is missing": (
        delete("campaigns/veterans/fb_ad_account_id"),
        "campaigns/veterans/fb_ad_account_id",
        Verdict.FAILED,
        "is missing",
        "push-config",
    ),
    "a parameter is misspelt": (
        put(meta__acces_token="x"),
        "meta/acces_token",
        Verdict.FAILED,
        "did you mean meta/access_token?",
        "aws ssm delete-parameter --name /closrads/sandbox/meta/acces_token",
    ),
    "a switch is below a misspelt slug": (
        put(campaigns__vetrans__enabled="false"),
        "campaigns/vetrans",
        Verdict.FAILED,
        "did you mean veterans?",
        "aws ssm delete-parameters --names /closrads/sandbox/campaigns/vetrans/enabled",
    ),
    "a switch is below a misspelt slug, and more is wrong": (
        put(campaigns__vetrans__enabled="false", meta__acces_token="x"),
        "campaigns/vetrans",
        Verdict.FAILED,
        "did you mean veterans?",
        "/closrads/sandbox/campaigns/vetrans/enabled",
    ),
    "all campaigns are off": (
        put(campaigns__veterans__enabled="no", campaigns__truckers__enabled="no", campaigns__mortgage__enabled="no"),
        "parameters",
        Verdict.WARNING,
        "switched off: mortgage, truckers, veterans: a run does nothing",
        "enabled",
    ),
    "everything is paused": (put(paused="true"), "parameters", Verdict.WARNING, "all of it is paused", "resume"),
    "the login at CLOSRTECH is wrong": (
        put(closrtech__password="FAKE-wrong-password"),
        "CLOSRTECH: truckers",
        Verdict.FAILED,
        "401",
        "push-config",
    ),
    "CLOSRTECH does not know the campaign": (
        put(campaigns__truckers__closrtech_campaign="VND_NOBODY"),
        "CLOSRTECH: truckers",
        Verdict.FAILED,
        "404",
        "push-config",
    ),
    "CLOSRTECH is down": (
        lambda sandbox: sandbox.closrtech.refuse_connections(),
        "CLOSRTECH: mortgage",
        Verdict.FAILED,
        "",
        "base_url",
    ),
    "CLOSRTECH wants nothing": (
        lambda sandbox: sandbox.closrtech.answer({"TX": 0}),
        "CLOSRTECH: mortgage",
        Verdict.FAILED,
        "",
        "ask CLOSRTECH",
    ),
    "CLOSRTECH knows a state that Meta does not": (
        lambda sandbox: sandbox.closrtech.answer({"TX": 1, "PR": 2}),
        "CLOSRTECH: mortgage",
        Verdict.WARNING,
        "1 state with demand; unknown: PR",
        "leave the unknown ones out",
    ),
    "CLOSRTECH knows no state that Meta does": (
        lambda sandbox: sandbox.closrtech.answer({"TX": 0, "PR": 2}),
        "CLOSRTECH: mortgage",
        Verdict.FAILED,
        "0 states with demand; unknown: PR",
        "ask CLOSRTECH; until then",
    ),
    "no state has the leads of min_demand": (
        put(limits__min_demand="1000"),
        "CLOSRTECH: truckers",
        Verdict.FAILED,
        "0 states with demand; 14 with fewer than the 1000 leads of limits/min_demand",
        "lower limits/min_demand",
    ),
    "the token has expired": (
        lambda sandbox: sandbox.meta.dead_tokens.update({sandbox.meta.token: faults.TOKEN_EXPIRED}),
        "token meta/access_token",
        Verdict.FAILED,
        "[Meta 190/463]",
        "generate one that never expires",
    ),
    "the token is not valid": (
        lambda sandbox: sandbox.meta.fail(
            faults.answer({"data": {"is_valid": False, "error": {"code": 190, "message": "It was revoked"}}}),
            on="GET debug_token",
        ),
        "token meta/access_token",
        Verdict.FAILED,
        "is not valid: It was revoked",
        "generate one that never expires",
    ),
    "the token may not ask about itself": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(100, None, "An app access token is needed"), on="GET debug_token"
        ),
        "token meta/access_token",
        Verdict.WARNING,
        "not checked: Meta refuses debug_token",
        "Debugger",
    ),
    "the token is a person's": (
        meta(token_type="USER"),
        "token meta/access_token",
        Verdict.FAILED,
        "of a person",
        "system user",
    ),
    "the token is a page's": (
        meta(token_type="PAGE"),
        "token meta/access_token",
        Verdict.FAILED,
        "is of no system user: PAGE",
        "system user",
    ),
    "nobody knows whose the token is": (
        meta(token_type=None),
        "token meta/access_token",
        Verdict.WARNING,
        "whose",
        "Debugger",
    ),
    "the token will expire": (
        lambda sandbox: setattr(sandbox.meta, "token_expires_at", int(sandbox.meta.now() + 59.5 * 86_400)),
        "token meta/access_token",
        Verdict.FAILED,
        "expires on 2026-07-02, in 59 days",
        "never expires",
    ),
    "the token's access to data will end": (
        lambda sandbox: setattr(sandbox.meta, "token_data_access_expires_at", int(sandbox.meta.now() + 86_400)),
        "token meta/access_token",
        Verdict.FAILED,
        "in 1 days",
        "never expires",
    ),
    "the token may only read": (
        meta(token_scopes=["ads_read"]),
        "token meta/access_token",
        Verdict.FAILED,
        "lacks the permission",
        "ads_management",
    ),
    "the token may not manage the ad account": (
        account(tasks=("ANALYZE",)),
        "ad account act_111",
        Verdict.FAILED,
        "may not change ads (it may: ANALYZE)",
        "System users",
    ),
    "the token may do nothing": (
        account(tasks=()),
        "ad account act_111",
        Verdict.FAILED,
        "it may: nothing",
        "System users",
    ),
    "Meta does not say what the token may do": (
        lambda sandbox: sandbox.meta.fail(
            faults.answer({"id": "act_222", "name": "X", "account_status": 1}),
            on=lambda operation: operation.path == "act_222" and "user_tasks" in operation.params["fields"],
        ),
        "ad account act_222",
        Verdict.WARNING,
        "does not say what",
        "by hand",
    ),
    "the ad account is not seen": (
        put(campaigns__veterans__fb_ad_account_id="act_999"),
        "ad account act_999",
        Verdict.FAILED,
        "[Meta 100/33]",
        "correct campaigns/veterans/fb_ad_account_id, or assign the ad account",
    ),
    "Meta refuses the question about the ad account": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(100, None, "Tried accessing nonexisting field (user_tasks)"),
            on=lambda operation: operation.path == "act_222" and "user_tasks" in operation.params["fields"],
        ),
        "ad account act_222",
        Verdict.FAILED,
        "nonexisting field",
        "look at Meta's reason",
    ),
    "Meta cannot be reached, as to an ad account": (
        lambda sandbox: sandbox.meta.refuse_connections(),
        "ad account act_111",
        Verdict.FAILED,
        "Meta gave no answer",
        "whether this machine reaches Meta",
    ),
    "Meta cannot be reached, as to a Meta campaign": (
        lambda sandbox: sandbox.meta.refuse_connections(),
        f"Meta campaign {VETERANS}",
        Verdict.FAILED,
        "of veterans: Meta gave no answer",
        "check whether this machine reaches Meta",
    ),
    "the ad account is refused": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(200, None, "Permissions error"),
            on=lambda operation: operation.path == "act_222" and "user_tasks" in operation.params["fields"],
        ),
        "ad account act_222",
        Verdict.FAILED,
        "[Meta 200]",
        "see to the token and its rights",
    ),
    "the ad account is disabled": (account(status=2), "ad account act_111", Verdict.WARNING, "status 2", "Billing"),
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
    "the account's audience controls exclude states": (
        account(controls={"audience_controls": {"excluded_geo_locations": {"regions": [{"key": "3878"}]}}}),
        "audience controls act_111",
        Verdict.WARNING,
        "exclude OH",
        "audience controls",
    ),
    "the account's audience controls cannot be read": (
        lambda sandbox: sandbox.meta.fail(faults.PERMISSION_MISSING, on="GET account_controls", times=None),
        "audience controls act_111",
        Verdict.WARNING,
        "not checked",
        "audience controls",
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
    "the regions are others": (moved_florida, "regions", Verdict.FAILED, "FL: the file has", "check_regions --write"),
    "the regions cannot be read": (
        lambda sandbox: sandbox.meta.fail(faults.UNKNOWN_ERROR, on="GET search", times=None),
        "regions",
        Verdict.FAILED,
        "[Meta 1]",
        "try again",
    ),
    "the version ends": (
        meta(version_warning="v26.0 calls are upgraded to v27.0"),
        f"Graph API {API_VERSION}",
        Verdict.FAILED,
        "upgraded to v27.0",
        "changelog",
    ),
    "the version is gone": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(2635, None, "The version is gone"), on=lambda operation: operation.params.get("fields") == "id"
        ),
        f"Graph API {API_VERSION}",
        Verdict.FAILED,
        "The version is gone",
        "changelog",
    ),
    "SES lets mail go to nobody": (
        ses(production_access=False),
        "SES account",
        Verdict.FAILED,
        "SES sandbox",
        "production access",
    ),
    "SES lets mail go to nobody, and nobody gets any": (
        lambda sandbox: [ses(production_access=False)(sandbox), delete("email/sender", "email/recipients")(sandbox)],
        "SES account",
        Verdict.WARNING,
        "SES sandbox",
        "before you put email/recipients, request production access",
    ),
    "SES refuses a recipient": (
        ses(production_access=False),
        "SES recipients",
        Verdict.FAILED,
        "SES refuses ",
        "verify each",
    ),
    "SES has stopped the account": (
        ses(sending_enabled=False),
        "SES account",
        Verdict.FAILED,
        "may not send",
        "reputation",
    ),
    "the sender is not verified": (
        ses(identities={SENDER: False}),
        "SES sender",
        Verdict.FAILED,
        "not verified yet",
        "verify it",
    ),
    "the sender is no identity": (ses(identities={}), "SES sender", Verdict.FAILED, "no identity", "example.test"),
    "there is no sender": (
        delete("email/sender", "email/recipients"),
        "SES sender",
        Verdict.WARNING,
        "nobody gets it by mail",
        "push-config",
    ),
    "the configuration set is gone": (
        ses(default_configuration_sets={SENDER: "daily"}),
        "configuration set daily",
        Verdict.FAILED,
        "does not exist",
        "create it",
    ),
    "the configuration set is stopped": (
        ses(default_configuration_sets={SENDER: "daily"}, configuration_sets={"daily": False}),
        "configuration set daily",
        Verdict.FAILED,
        "may not send",
        "enable",
    ),
    "the ledger is gone": (
        lambda sandbox: sandbox.aws.client("dynamodb").delete_table(TableName=LEDGER_TABLE),
        f"ledger {LEDGER_TABLE}",
        Verdict.FAILED,
        "does not exist",
        "deploy the stack",
    ),
    "there is no table to have a backup": (
        lambda sandbox: sandbox.aws.client("dynamodb").delete_table(TableName=LEDGER_TABLE),
        "ledger backup",
        Verdict.WARNING,
        "not checked: no table",
        "see to the ledger first",
    ),
    "the backup cannot be looked at": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "DescribeContinuousBackups", "AccessDeniedException"),
        "ledger backup",
        Verdict.WARNING,
        "not checked: you have no right to it",
        "dynamodb:DescribeContinuousBackups",
    ),
    "the ledger has no backup": (no_backup, "ledger backup", Verdict.FAILED, "is off", "switch it on"),
    "the ledger cannot be queried": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "Query", "AccessDeniedException", times=None),
        "ledger",
        Verdict.WARNING,
        "not checked: you have no right to it",
        "dynamodb:Query",
    ),
    "the open changes may not be seen": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "Query", "AccessDeniedException", times=None),
        "open changes",
        Verdict.WARNING,
        "not checked: you have no right to it",
        "dynamodb:Query and dynamodb:GetItem",
    ),
    "the open changes cannot be read": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "Query", DROPPED, times=None),
        "open changes",
        Verdict.FAILED,
        "The ledger cannot be read",
        "try again",
    ),
    "a change is open": (
        open_change(ChangeState.WRITTEN),
        "open changes",
        Verdict.WARNING,
        "1 neither finished nor undone: “",
        "the next live run",
    ),
    "a rollback has failed": (
        open_change(ChangeState.ROLLBACK_FAILED),
        "open changes",
        Verdict.FAILED,
        "1 not proven to be as before: “",
        "Ads Manager now",
    ),
    "a change of a campaign that is off is open": (
        open_change(ChangeState.WRITTEN, **{"campaigns/veterans/enabled": "false"}),
        "open changes",
        Verdict.WARNING,
        "of veterans, ",
        "the next live run",
    ),
    "the right to see SES is missing": (
        lambda sandbox: sandbox.aws.fail("sesv2", "GetAccount", "AccessDeniedException", 403),
        "SES account",
        Verdict.WARNING,
        "no right to it",
        "ses:GetAccount",
    ),
    "the right to see the sender is missing": (
        lambda sandbox: sandbox.aws.fail("sesv2", "GetEmailIdentity", "AccessDeniedException", 403),
        "SES sender",
        Verdict.WARNING,
        "no right to it",
        "ses:GetEmailIdentity",
    ),
    "the right to see the configuration set is missing": (
        hidden_configuration_set,
        "SES sender",
        Verdict.WARNING,
        "no right to it",
        "ses:GetConfigurationSet",
    ),
    "the right to see the table is missing": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "DescribeTable", "AccessDeniedException"),
        "ledger",
        Verdict.WARNING,
        "no right to it",
        "dynamodb:DescribeTable",
    ),
    "the right to read parameters is missing": (
        lambda sandbox: sandbox.aws.fail("ssm", "GetParametersByPath", "AccessDeniedException"),
        "parameters",
        Verdict.WARNING,
        "no right to it",
        "ssm:GetParametersByPath",
    ),
    "the credentials are wrong": (
        lambda sandbox: sandbox.aws.fail("ssm", "GetParametersByPath", "UnrecognizedClientException"),
        "parameters",
        Verdict.FAILED,
        "AWS refuses",
        "AWS_PROFILE",
    ),
    "AWS gives no answer": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "DescribeTable", DROPPED, times=None),
        "ledger",
        Verdict.FAILED,
        "AWS cannot be asked",
        "Region",
    ),
    "Meta gives no answer": (
        lambda sandbox: sandbox.meta.refuse_connections(),
        "clock",
        Verdict.WARNING,
        "no answer with a date",
        "by hand",
    ),
}


def found(call: Call) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status and the findings by name."""
    result = call("doctor", "--json")
    answer = json.loads(result.stdout)
    assert answer["ok"] is (result.exit_code == 0)
    return result.exit_code, {each["check"]: each for each in answer["checks"]}


def test_what_is_not_known_is_not_guessed(call: Call, business: Sandbox) -> None:
    """Without the parameters nobody knows whether there is a sender."""
    business.aws.fail("ssm", "GetParametersByPath", "AccessDeniedException")

    assert "not checked" in found(call)[1]["SES sender"]["said"]


def test_states_with_too_few_leads_are_no_states_with_demand(call: Call, business: Sandbox) -> None:
    """They are named apart, and the limit may be the campaign's own."""
    put(campaigns__truckers__limits__min_demand="20")(business)

    said = found(call)[1]["CLOSRTECH: truckers"]["said"]

    assert said == "3 states with demand; 11 with fewer than the 20 leads of limits/min_demand"


def test_all_is_well(call: Call) -> None:
    """Every part is looked at, each campaign and each account of its own."""
    status, findings = found(call)

    assert (status, {each["verdict"] for each in findings.values()}) == (0, {"ok"})
    assert findings["CLOSRTECH: truckers"]["said"] == "14 states with demand"
    assert findings.keys() == {
        "parameters", "CLOSRTECH: mortgage", "CLOSRTECH: truckers", "CLOSRTECH: veterans", "token meta/access_token",
        "ad account act_111", "ad account act_222", "access tier act_111", "access tier act_222",
        "audience controls act_111",
        "audience controls act_222", f"Meta campaign {VETERANS}", "Meta campaign 120210000000002100",
        "Meta campaign 120210000000003100", "Meta campaign 120210000000003200", "regions", f"Graph API {API_VERSION}",
        STACK, "SES account", "SES sender", f"ledger {LEDGER_TABLE}", "open changes", "ledger backup", "clock",
    }  # fmt: skip


class TestTheAccessTier:
    """How many changes Meta allows in five minutes, and what that is in ad sets."""

    NAME = "access tier act_111"

    def silent(self, business: Sandbox, points: int | None) -> None:
        """Let no header tell the tier, which a run may have found out."""
        business.meta.accounts["act_111"].shows_usage = False
        if points:
            found_out = KnownTier(points, datetime(2026, 5, 3, 10, 30, tzinfo=UTC))
            Ledger(Table(LEDGER_TABLE, Clock())).keep_tier("act_111", found_out)

    def largest(self, business: Sandbox, ads: int) -> None:
        """Add an ad set of so many ads, more than any other has."""
        business.meta.add_adset(VETERANS, "Largest", "FL", ads=ads)

    @pytest.mark.parametrize(
        ("tier", "said"),
        [
            ("full", "Full: 9,000 points in five minutes; for ad sets of 6 ads, the most there are, that is 374"),
            ("limited", "Limited: 60 points in five minutes; for ad sets of 6 ads, the most there are, that is 1"),
        ],
    )
    def test_as_meta_tells_it(self, call: Call, business: Sandbox, tier: str, said: str) -> None:
        """By the headers of its answers."""
        business.meta.add_account("act_111", tier)
        self.largest(business, 6)

        finding = found(call)[1][self.NAME]

        assert (finding["verdict"], finding["said"]) == ("ok", f"{said} changed in this time")

    def test_as_a_run_has_found_out(self, call: Call, business: Sandbox) -> None:
        """Where Meta does not tell it."""
        self.silent(business, 60)

        said = found(call)[1][self.NAME]["said"]

        assert said.startswith("Limited: 60 points in five minutes, as a run has found out on 2026-05-03; ")

    @pytest.mark.parametrize("trouble", [False, True])
    def test_not_known_yet(self, call: Call, business: Sandbox, *, trouble: bool) -> None:
        """And what that means; the ledger may be out of reach."""
        self.silent(business, None)
        if trouble:
            business.aws.fail("dynamodb", "GetItem", "AccessDeniedException", 403)
        self.largest(business, 9)

        finding = found(call)[1][self.NAME]

        assert finding["verdict"] == "ok"
        assert "not known yet" in finding["said"]
        assert "begin as with 60 points in five minutes" in finding["said"]

    def test_an_ad_set_that_is_too_large_for_it(self, call: Call, business: Sandbox) -> None:
        """Runs leave it alone, so it is said."""
        self.silent(business, 60)
        self.largest(business, 9)

        finding = found(call)[1][self.NAME]

        assert finding["verdict"] == "warning"
        assert "one takes 66 points with its rollback, so runs leave it alone" in finding["said"]
        assert "ask Meta for full access" in finding["remedy"]

    def test_without_ad_sets_or_a_table(self, call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then there is nothing to reckon with, and nothing to look up."""
        self.silent(business, None)
        business.meta.fail(faults.OBJECT_MISSING, on="GET adsets", times=None)
        monkeypatch.setenv("CLOSRADS_LEDGER_TABLE", "")

        assert found(call)[1][self.NAME]["said"].endswith("that need more")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named_with_what_to_do(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it; only what is wrong for sure makes the status 1."""
    breaking, check, verdict, said, remedy = BROKEN[name]
    breaking(business)

    status, findings = found(call)

    assert findings[check]["verdict"] == verdict
    assert said in findings[check]["said"]
    assert remedy in findings[check]["remedy"]
    assert all(each["remedy"] for each in findings.values() if each["verdict"] != "ok")
    assert status == int(any(each["verdict"] == "failed" for each in findings.values()))


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("a parameter is missing", {"CLOSRTECH: truckers", "Meta campaign 120210000000002100", "clock", "SES account"}),
        ("a parameter is misspelt", {"token meta/access_token", "regions", "CLOSRTECH: veterans"}),
        ("the token has expired", {"CLOSRTECH: veterans", "SES sender", f"ledger {LEDGER_TABLE}"}),
        ("nothing is there", {"SES account", f"ledger {LEDGER_TABLE}", "ledger backup", "clock"}),
        ("the right to see SES is missing", {"SES sender", "regions"}),
    ],
)
def test_one_failing_check_never_stops_the_others(call: Call, business: Sandbox, name: str, checked: set[str]) -> None:
    """What does not hang on the mistake is checked as ever."""
    BROKEN[name][0](business)

    _, findings = found(call)

    assert {check: findings[check]["verdict"] for check in checked} == dict.fromkeys(checked, "ok")


@pytest.mark.parametrize(
    ("missing", "unchecked", "checked"),
    [
        ("closrtech/password", {"CLOSRTECH: veterans", "CLOSRTECH: mortgage"}, {"ad account act_111", "regions"}),
        ("meta/access_token", {"Meta: veterans", "Meta: mortgage"}, {"CLOSRTECH: veterans", "clock"}),
        ("email/recipients", set(), {"CLOSRTECH: veterans", "ad account act_222", "SES sender"}),
    ],
)
def test_without_a_shared_parameter(
    call: Call, business: Sandbox, missing: str, unchecked: set[str], checked: set[str]
) -> None:
    """What it is needed for is said not to be checked, and the rest is."""
    business.aws.delete_parameters(missing)

    status, findings = found(call)

    assert (status, findings[missing]["said"].partition(":")[0]) == (1, "is missing")
    assert {findings[check]["verdict"] for check in unchecked} <= {"warning"}
    assert all("not checked" in findings[check]["said"] for check in unchecked)
    assert {findings[check]["verdict"] for check in checked} == {"ok"}


def test_parameters_that_say_nothing_together(call: Call, business: Sandbox) -> None:
    """Where every campaign is wrong, there is nothing to ask CLOSRTECH or Meta for."""
    business.aws.delete_parameters(
        *(f"campaigns/{slug}/fb_campaign_ids" for slug in ("veterans", "truckers", "mortgage"))
    )

    _, findings = found(call)

    assert findings["CLOSRTECH and Meta"]["verdict"] == "warning"
    assert findings["clock"]["verdict"] == "ok"


@pytest.mark.parametrize("identity", ["media.test", "team@news.media.test", "elsewhere.test"])
def test_recipients_in_the_sandbox_of_ses(call: Call, business: Sandbox, identity: str) -> None:
    """An address is as good as verified if a domain of it is; the others are named."""
    business.aws.put_parameters({"email/recipients": ["Media <team@news.media.test>"]})
    business.aws.ses.production_access = False
    business.aws.ses.identities[identity] = True

    _, findings = found(call)

    refused = identity == "elsewhere.test"
    assert ("SES recipients" in findings) is refused
    assert findings["SES account"]["verdict"] == ("failed" if refused else "warning")
    assert ("as all of email/recipients are" in findings["SES account"]["said"]) is not refused
    if refused:
        assert findings["SES recipients"]["said"] == "SES refuses team@news.media.test: not verified"


def test_a_campaign_that_is_off_is_not_looked_at(call: Call, business: Sandbox) -> None:
    """It may be incomplete, and that is said."""
    business.aws.put_parameters({"campaigns/truckers/enabled": "false", "campaigns/truckers/fb_campaign_ids": "9"})

    status, findings = found(call)

    assert status == 0
    assert findings["parameters"]["said"].endswith("campaigns: mortgage, veterans; switched off: truckers")
    assert "CLOSRTECH: truckers" not in findings
    assert "Meta campaign 9" not in findings


def test_ad_sets_that_are_left_alone(call: Call, business: Sandbox) -> None:
    """Each is named, also one that is off, which no run reads."""
    alone = business.meta.add_adset(VETERANS, "Evergreen", "FL")
    business.meta.person_pauses(alone)
    business.aws.put_parameters({"campaigns/veterans/skip_adsets": ["evergreen"]})

    _, findings = found(call)

    finding = findings["ad sets left alone: veterans"]
    assert (finding["verdict"], finding["said"]) == ("ok", "1 of 4: Evergreen")


def test_each_token_is_looked_at(call: Call, business: Sandbox) -> None:
    """A campaign's own token is named by its parameter."""
    business.meta.tokens.add("EAAFAKETRUCKERS")
    business.aws.put_parameters({"campaigns/truckers/fb_access_token": "EAAFAKETRUCKERS"})

    _, findings = found(call)

    assert findings["token campaigns/truckers/fb_access_token"]["verdict"] == "ok"
    assert findings["token meta/access_token"]["verdict"] == "ok"


def own_tokens(token: str) -> dict[str, str]:
    """Return the parameters that give each campaign a token of its own."""
    return {f"campaigns/{slug}/fb_access_token": token for slug in ("mortgage", "truckers", "veterans")}


def test_a_shared_token_that_nobody_uses(call: Call, business: Sandbox) -> None:
    """It is looked at all the same, and that its renewal renews nothing is said."""
    business.aws.put_parameters({**own_tokens(business.meta.token), "meta/access_token": "EAAFAKERENEWED"})

    status, findings = found(call)

    own = "token campaigns/mortgage/fb_access_token, campaigns/truckers/fb_access_token, "
    assert findings[f"{own}campaigns/veterans/fb_access_token"]["verdict"] == "ok"
    assert (status, findings["token meta/access_token"]["verdict"]) == (1, "failed")
    assert findings["meta/access_token"]["verdict"] == "warning"
    assert "used by no campaign" in findings["meta/access_token"]["said"]


def test_one_token_in_several_parameters(call: Call, business: Sandbox) -> None:
    """All of them are to be renewed, so they are named, or counted."""
    business.aws.put_parameters(own_tokens(business.meta.token))

    status, findings = found(call)

    (name,) = (name for name in findings if name.startswith("token "))
    assert (status, findings[name]["verdict"]) == (0, "ok")
    assert name.startswith("token meta/access_token, campaigns/mortgage/fb_access_token, ")
    assert name.endswith(" and 1 more")
    assert findings["meta/access_token"]["verdict"] == "warning"


def test_what_hangs_on_a_dead_token_is_one_line(call: Call, business: Sandbox) -> None:
    """The remedy is the token's, and no parameter is blamed that may be right."""
    business.meta.dead_tokens[business.meta.token] = faults.TOKEN_EXPIRED

    _, findings = found(call)

    behind = [each for each in findings.values() if "does not accept the token" in each["said"]]
    assert [(each["verdict"], each["remedy"]) for each in behind] == [("warning", "see to the token first")]
    assert behind[0]["check"].startswith("ad account act_")
    assert [name for name, each in findings.items() if each["verdict"] == "failed"] == ["token meta/access_token"]


def test_a_token_that_is_refused_elsewhere_only(call: Call, business: Sandbox) -> None:
    """Then no other line says that something is wrong."""
    business.meta.fail(faults.TOKEN_EXPIRED, on=lambda operation: operation.path == VETERANS)

    status, findings = found(call)

    assert status == 1
    assert findings["Meta campaigns of act_111"]["verdict"] == "failed"


@pytest.mark.parametrize("identity", ["example.test", "mail.example.test"])
def test_a_sender_of_a_verified_domain(call: Call, business: Sandbox, identity: str) -> None:
    """SES lets every address of a verified domain send, and of those below it."""
    business.aws.put_parameters({"email/sender": "CLOSRADS <reports@mail.example.test>"})
    business.aws.ses.identities = {identity: True}

    _, findings = found(call)

    assert findings["SES sender"]["said"] == f"reports@mail.example.test is verified, by {identity}"


def test_the_configuration_set_that_is_there(call: Call, business: Sandbox) -> None:
    """It is named, for it may be the reason why mail does not come."""
    ses(default_configuration_sets={SENDER: "daily"}, configuration_sets={"daily": True})(business)

    assert found(call)[1]["configuration set daily"]["verdict"] == "ok"


def test_a_ledger_without_its_index(call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of that name that was not made by this template."""
    monkeypatch.setenv("CLOSRADS_LEDGER_TABLE", "other")
    business.aws.client("dynamodb").create_table(
        TableName="other",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    finding = found(call)[1]["ledger other"]

    assert (finding["verdict"], finding["said"]) == ("failed", "is active, without the index `open`")


@pytest.mark.parametrize(("seconds", "said"), [(45, "45 s ahead of Meta"), (-45, "45 s behind Meta")])
def test_a_clock_that_is_wrong(
    call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch, seconds: int, said: str
) -> None:
    """Leases go by this machine's clock."""
    here = business.meta.now()
    monkeypatch.setattr(business.meta._server, "now", lambda: here - seconds)

    finding = found(call)[1]["clock"]

    assert (finding["verdict"], said in finding["said"]) == ("failed", True)


def test_the_token_travels_to_no_strange_address(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is a problem like any other, and nobody is asked instead; what does without it is checked."""
    monkeypatch.setenv("CLOSRADS_GRAPH_URL", "http://graph.example.test")

    status, findings = found(call)

    assert status == 1
    verdicts = {
        name: findings[name]["verdict"] for name in ("CLOSRADS_GRAPH_URL", "Meta", "clock", "CLOSRTECH: veterans")
    }
    assert "variable" in findings["CLOSRADS_GRAPH_URL"]["remedy"]
    assert list(verdicts.values()) == ["failed", "warning", "warning", "ok"]


@pytest.mark.parametrize(("days", "verdict"), [(119, "warning"), (120, "ok")])
def test_a_version_that_is_expected_to_end_soon_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, call: Call, fake_time: FakeTime, days: int, verdict: str
) -> None:
    """Meta says nothing before the end, so the shortest life of a version has to do, from the alarm's day on."""
    released = fake_time.clock.now().date() + timedelta(days) - SHORTEST_LIFE
    monkeypatch.setitem(LIVES, API_VERSION, VersionLife(released))

    status, findings = found(call)

    assert (status, findings[f"Graph API {API_VERSION}"]["verdict"]) == (0, verdict)
    assert f"in about {days} days" in findings[f"Graph API {API_VERSION}"]["said"]


@pytest.mark.parametrize(
    ("days", "verdict"), [(-1, "failed"), (30, "failed"), (31, "warning"), (119, "warning"), (120, "ok")]
)
def test_an_announced_end_counts_more_than_the_age(
    monkeypatch: pytest.MonkeyPatch, call: Call, fake_time: FakeTime, days: int, verdict: str
) -> None:
    """The day is said while it is far away, and becomes a failure when it is near."""
    today = fake_time.clock.now().date()
    life = VersionLife(today - timedelta(days=301), today + timedelta(days=days))
    monkeypatch.setitem(LIVES, API_VERSION, life)

    finding = found(call)[1][f"Graph API {API_VERSION}"]

    assert finding["verdict"] == verdict
    assert f"{today + timedelta(days=days)}, {days} days from today" in finding["said"]


def test_the_release_of_the_version_in_use_is_known() -> None:
    """Who raises API_VERSION writes down when it came out."""
    assert LIVES[API_VERSION].released > date(2026, 1, 1)


def test_a_defect_in_a_check_is_a_warning() -> None:
    """It is one line, and no end of all."""

    def defective() -> Any:
        raise KeyError("surprise")

    (finding,) = run_check(Check("odd", defective))

    assert (finding.verdict, finding.said) == (Verdict.WARNING, "not checked: unexpected KeyError: 'surprise'")


READS = {
    AwsRequest("ssm", "GetParametersByPath"),
    AwsRequest("cloudformation", "DescribeStackResources"),
    AwsRequest("cloudformation", "DescribeStacks"),
    AwsRequest("sesv2", "GetAccount"),
    AwsRequest("sesv2", "GetEmailIdentity"),
    AwsRequest("sesv2", "GetConfigurationSet"),
    AwsRequest("dynamodb", "DescribeTable"),
    AwsRequest("dynamodb", "DescribeContinuousBackups"),
    AwsRequest("dynamodb", "Query"),
}


@pytest.mark.parametrize(
    "name", ["the configuration set is gone", "the token is a person's", "the ledger has no backup"]
)
def test_nothing_is_written(call: Call, business: Sandbox, name: str) -> None:
    """Neither at Meta nor at AWS, whether all is well or not."""
    BROKEN[name][0](business)
    business.aws.requests.clear()
    found(call)

    assert business.meta.writes == []
    assert {operation.method for operation in business.meta.operations} == {"GET"}
    assert set(business.aws.requests) <= READS
    assert business.aws.ledger() == []
    assert business.aws.mails == []


class TestWhatAPersonSees:
    """The same as a table."""

    def test_all_is_well(self, call: Call) -> None:
        """Each line, and the count."""
        output = call("doctor").output

        assert "CLOSRTECH: truckers" in output
        assert "Stage sandbox: 24 ok" in output

    def test_a_narrow_terminal(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names and findings share a column."""
        monkeypatch.setenv("COLUMNS", "80")

        assert "CLOSRTECH: truckers: 14 states with demand" in call("doctor").output

    def test_something_is_wrong(self, call: Call, business: Sandbox) -> None:
        """The remedy stands below."""
        business.aws.ses.production_access = False
        result = call("doctor")

        assert result.exit_code == 1
        assert "→ request production access" in result.output
        assert "Stage sandbox: 23 ok, 2 failed" in result.output

    @pytest.mark.parametrize(("names", "said"), [(1, "1 warning"), (2, "2 warnings")])
    def test_warnings_are_counted(self, call: Call, business: Sandbox, names: int, said: str) -> None:
        """One is one."""
        for meta_campaign in list(business.meta.campaigns.values())[:names]:
            meta_campaign.status = "PAUSED"

        assert f"ok, {said}\n" in call("doctor").output
