"""What a report says of whoever else has set the states of ad sets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.drift import Drift
from closrads.report.render import build_report
from tests.report.mails import NEW_YORK, adsets, campaign, run


class TestDrift:
    """Who else has set the states of ad sets."""

    AT = datetime(2026, 5, 3, 18, 2, tzinfo=UTC)

    def told(self, *adsets: AdSetResult) -> list[str]:
        """Return what the details say of it."""
        mail = build_report(run(campaign("Veterans", adsets)), NEW_YORK)
        label = "Changed by somebody else: "
        for part in (mail.text, unescape(mail.html)):
            assert ("Changed by somebody else" in part) == (label in mail.text)
        return [text.removeprefix(label) for text in mail.text.splitlines() if text.startswith(label)]

    def adset(
        self, name: str, result: Result = Result.UPDATED, *, at: datetime | None = AT, **drift: Any
    ) -> AdSetResult:
        """Return an ad set that somebody else has changed."""
        return AdSetResult(name, name, result, ("FL",), ("TX",), drift=Drift(**{"at": at, **drift}))

    def test_one(self) -> None:
        """In the time zone of the report."""
        assert self.told(self.adset("Broad", removed=("OH",), by="Jane Example")) == [
            "Jane Example took out OH in Broad on 3 May, 2:02 pm; it has today's states again"
        ]
        assert self.told(self.adset("Broad", Result.UNVERIFIED, added=("OH", "TX"), by="Jane Example")) == [
            "Jane Example added OH, TX in Broad on 3 May, 2:02 pm"
        ]

    def test_nobody_knows_who(self) -> None:
        """That it was somebody is told all the same."""
        assert self.told(self.adset("Broad", Result.FAILED, removed=("OH",), at=None)) == [
            "Somebody took out OH in Broad since the last update, and Meta does not say who; it was left like that"
        ]

    def test_several_by_one_person(self) -> None:
        """One line, whatever was done to each; what became of them is a line each."""
        same = [self.adset(f"A{number}", removed=("OH",), by="Jane Example") for number in range(12)]
        other = self.adset("B", Result.REVERTED, removed=("OH",), added=("GA",), by="Jane Example")
        late = self.adset("C", removed=("OH",), added=("GA",), by="Jane Example", at=self.AT + timedelta(days=1))

        assert self.told(*same, other) == [
            ("Jane Example took out OH in 12 ad sets (A0, A1 and 10 more) on 3 May; they have today's states again"),
            "Jane Example took out OH and added GA in B on 3 May, 2:02 pm; it was left like that",
        ]
        assert self.told(same[0], late) == [
            ("Jane Example changed the states of 2 ad sets (A0, C) between 3 May and 4 May; they have today's states "
            "again")
        ]  # fmt: skip

    def test_of_many_campaigns_too(self) -> None:
        """Where campaigns without trouble have no details of their own."""
        calm = [campaign(f"Calm {number}", adsets(1, Result.UPDATED)) for number in range(20)]
        met = campaign("Met", [self.adset("Broad", removed=("OH",), by="Jane Example")])
        text = build_report(run(*calm, met), NEW_YORK).text

        assert text.count("===") == 2 * 2
        assert "=== Met ===\nChanged by somebody else: Jane Example took out OH" in text

    def test_a_superseded_change_names_who_it_was(self) -> None:
        """In its box, and not a second time."""
        drift = Drift((), (), "Jane Example", self.AT)
        recovery = Recovery("run", "5", "Narrow", ChangeState.WRITTEN, ChangeState.SUPERSEDED, drift=drift)
        report = replace(
            campaign("Veterans", [AdSetResult("1", "Broad", Result.SUPERSEDED, drift=drift)]), recovered=(recovery,)
        )
        text = build_report(run(report), NEW_YORK).text

        said = "was changed by Jane Example on 3 May, 2:02 pm, and was left like that"
        assert text.count(said) == 2 + 1  # in the first line, too
        assert "Changed by somebody else" not in text
        assert "Veterans · Broad (1), Narrow (5): drift by Jane Example" in text
