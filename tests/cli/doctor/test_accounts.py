"""`doctor` on ad accounts: rights, access tier and audience controls."""

from datetime import UTC, datetime

import pytest

from closrads.cli.doctor.findings import Verdict
from closrads.clock import Clock
from closrads.domain.tiers import KnownTier
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from sandbox import Sandbox, faults
from sandbox.aws import LEDGER_TABLE
from tests.cli.conftest import Call
from tests.cli.doctor.cases import VETERANS, Case, account, assert_named, found, put

pytestmark = pytest.mark.usefixtures("empty_stack")

BROKEN: dict[str, Case] = {
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
    "Meta cannot be reached, as to an access tier": (
        lambda sandbox: sandbox.meta.refuse_connections(),
        "access tier act_111",
        Verdict.WARNING,
        "not checked: Meta gave no answer",
        "the ad account",
    ),
    "the ad account is refused": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(200, None, "Permissions error"),
            on=lambda operation: operation.path == "act_222" and "user_tasks" in operation.params["fields"],
        ),
        "ad account act_222",
        Verdict.FAILED,
        "[Meta 200]",
        "check the token and its permissions",
    ),
    "the ad account is disabled": (account(status=2), "ad account act_111", Verdict.WARNING, "status 2", "Billing"),
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
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_an_ad_account(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


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

        assert said.startswith("Limited: 60 points in five minutes, as a run has determined on 2026-05-03; ")

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
        assert "begin with 60 points in five minutes" in finding["said"]

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
