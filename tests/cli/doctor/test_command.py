"""`doctor` as a whole: a failing check stops no other, nothing is changed, and what a person sees."""

import pytest

from closrads.meta.graph import API_VERSION
from sandbox import Sandbox
from sandbox.aws import LEDGER_TABLE, AwsRequest
from tests.cli.conftest import Call
from tests.cli.doctor import test_ledger, test_parameters, test_ses, test_tokens
from tests.cli.doctor.cases import VETERANS, found

pytestmark = pytest.mark.usefixtures("empty_stack")
STACK = "stack closrads-sandbox"
BROKEN = test_parameters.BROKEN | test_tokens.BROKEN | test_ses.BROKEN | test_ledger.BROKEN
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


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("a parameter is missing", {"CLOSRTECH: truckers", "Meta campaign 120210000000002100", "clock", "SES account"}),
        ("a parameter is misspelled", {"token meta/access_token", "regions", "CLOSRTECH: veterans"}),
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
