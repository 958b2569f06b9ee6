"""Meta's rows → ad sets, ads and status changes: what cannot be used is refused, and nothing is guessed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adsets import Ad, AdIssue, AdSetSnapshot
from closrads.domain.drift import TargetingEdit
from closrads.domain.health import Actor, StatusChange
from closrads.errors import MetaInvalidError
from closrads.meta.parsing import parse_ad, parse_adset, parse_status_change, parse_targeting_edit, parse_whole_adset
from closrads.redaction import MAX_NAME_CHARS
from tests.world import START, ids

NO_OBJECTS: list[Any] = [None, [], [{}], "US", 1, True]
ADSET_ROW = {"id": "1", "name": "A", "effective_status": "ACTIVE", "targeting": {"age_min": None}}
AD_ROW = {"id": "11", "adset_id": "1", "name": "Ad", "status": "ACTIVE", "effective_status": "ACTIVE"}
NO_TIMES: list[Any] = [None, 0, -1, 1.5, True, "soon", [1], {}, 10**12, "1" * 5000]
NO_STAGES: list[Any] = ["SUCCESS", "WAIVING", None, ["FAIL"]]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a row that lacks a key."""
    return {name: value for name, value in row.items() if name != key}


def hostile(row: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return the row with anything in the place of some of its values."""
    return st.fixed_dictionaries({}, optional={key: st.just(value) | json_values for key, value in row.items()})


class TestAdSets:
    """A row of the list of ad sets."""

    def test_it_becomes_a_snapshot(self) -> None:
        """With its targeting as it came, null values included: typed objects would lose them."""
        ad = parse_ad(AD_ROW)

        found = parse_adset(ADSET_ROW, "900", {"11": ad}, START)

        assert found == AdSetSnapshot("1", "A", "900", "ACTIVE", {"age_min": None}, (ad,), START, full_name="A")

    @pytest.mark.parametrize(
        ("info", "since"),
        [
            ({"status": "LEARNING", "last_sig_edit_ts": 1777852800}, "2026-05-04T00:00:00+00:00"),
            ({"status": "FAIL", "last_sig_edit_ts": "1777852800"}, "2026-05-04T00:00:00+00:00"),
            *[({"status": "LEARNING", "last_sig_edit_ts": seconds}, "") for seconds in NO_TIMES],
            ({"status": "LEARNING"}, ""),
            *[({"status": status, "last_sig_edit_ts": 1}, None) for status in NO_STAGES],
            *[(info, None) for info in NO_OBJECTS],
        ],
    )
    def test_since_when_it_has_been_learning(self, info: Any, since: str | None) -> None:
        """What cannot be read is not known, and costs the ad set nothing."""
        assert parse_adset({**ADSET_ROW, "learning_stage_info": info}, "900", {}, START).learning_since == since

    @pytest.mark.parametrize(
        "row",
        ids(
            [
                *[(f"without {key}", without(ADSET_ROW, key)) for key in ("id", "effective_status")],
                ("id a number", {**ADSET_ROW, "id": 1}),
                ("id empty", {**ADSET_ROW, "id": ""}),
                ("id with a line break", {**ADSET_ROW, "id": "1\n2"}),
                ("id too long", {**ADSET_ROW, "id": "1" * (MAX_NAME_CHARS + 1)}),
                ("status null", {**ADSET_ROW, "effective_status": None}),
            ]
        ),
    )
    def test_one_that_lacks_what_is_needed_is_refused(self, row: dict[str, Any]) -> None:
        """A guess at what is not there could wipe a targeting."""
        with pytest.raises(MetaInvalidError, match="Meta lists"):
            parse_adset(row, "900", {}, START)

    @pytest.mark.parametrize(
        "row",
        ids(
            [
                ("none", without(ADSET_ROW, "targeting")),
                *[(repr(value), {**ADSET_ROW, "targeting": value}) for value in NO_OBJECTS],
                *[
                    (f"locations {value!r}", {**ADSET_ROW, "targeting": {"geo_locations": value}})
                    for value in NO_OBJECTS
                    if value
                ],
            ]
        ),
    )
    def test_a_targeting_that_cannot_be_used_is_a_flaw_of_one_ad_set(self, row: dict[str, Any]) -> None:
        """In a list it says nothing of the others; of one that is read by itself, it must not look like no regions."""
        found = parse_adset(row, "900", {}, START)

        assert found.targeting == {}
        assert found.flaw.startswith("Meta lists ad set 1 with")
        with pytest.raises(MetaInvalidError, match="Meta lists ad set 1 with"):
            parse_whole_adset(row, "900", {}, START)

    @pytest.mark.parametrize(("value", "number"), [("111", "111"), (111, "111"), (None, ""), ({"id": "111"}, "")])
    def test_its_account(self, value: Any, number: str) -> None:
        """A number without `act_`; what is none is as if it were not there."""
        assert parse_adset({**ADSET_ROW, "account_id": value}, "900", {}, START).account_id == number

    @pytest.mark.parametrize(
        ("row", "end"),
        [
            ({}, None),
            ({"end_time": "2026-05-04T06:30:00-0400"}, START),
            ({"campaign": {"id": "900", "stop_time": "2026-05-04T10:30:00+0000"}}, START),
            ({"end_time": "2027-01-01T00:00:00+0000", "campaign": {"stop_time": "2026-05-04T10:30:00+0000"}}, START),
            ({"end_time": "2026-05-04T10:30:00+0000", "campaign": {"stop_time": "1969-12-31T16:00:00-0800"}}, START),
            ({"end_time": "1969-12-31T16:00:00-0800"}, None),
            ({"end_time": "soon", "campaign": []}, None),
            ({"end_time": 0, "campaign": {"stop_time": {}}}, None),
        ],
        ids=str,
    )
    def test_its_end(self, row: dict[str, Any], end: datetime | None) -> None:
        """The earlier one of its own and of its campaign's; the time zero is none, and neither is what is no time."""
        assert parse_adset({**ADSET_ROW, **row}, "900", {}, START).end_time == end

    @pytest.mark.parametrize(
        ("campaign", "found"),
        [
            (None, ()),
            ([], ()),
            ({}, ()),
            ({"special_ad_categories": None}, ()),
            ({"special_ad_categories": "HOUSING"}, ()),
            ({"special_ad_categories": ["HOUSING", None, {}]}, ("HOUSING",)),
        ],
        ids=str,
    )
    def test_the_special_ad_categories_of_its_campaign(self, campaign: Any, found: tuple[str, ...]) -> None:
        """What is no list of words is as if it were not there."""
        assert parse_adset({**ADSET_ROW, "campaign": campaign}, "900", {}, START).special_ad_categories == found

    @pytest.mark.parametrize(
        ("own", "campaign", "status"),
        [
            ("PAUSED", {"effective_status": "DELETED"}, "DELETED"),
            ("ACTIVE", {"effective_status": "ARCHIVED"}, "ARCHIVED"),
            ("ARCHIVED", {"effective_status": "DELETED"}, "ARCHIVED"),
            ("PAUSED", {"effective_status": "PAUSED"}, "PAUSED"),
            ("PAUSED", {"effective_status": None}, "PAUSED"),
            ("PAUSED", {"effective_status": []}, "PAUSED"),
            ("PAUSED", None, "PAUSED"),
            ("PAUSED", "900", "PAUSED"),
        ],
    )
    def test_it_is_gone_with_its_campaign(self, own: str, campaign: Any, status: str) -> None:
        """One that a person had paused before need not show it."""
        row = {**ADSET_ROW, "effective_status": own, "campaign": campaign}

        assert parse_adset(row, "900", {}, START).effective_status == status

    @given(hostile(ADSET_ROW))
    def test_whatever_a_row_holds_it_is_used_or_refused(self, row: dict[str, Any]) -> None:
        """No row ends a campaign as a defect of this package."""
        try:
            found = parse_adset(row, "900", {}, START)
        except MetaInvalidError:
            return
        assert found.id == row["id"]
        assert found.name


class TestAds:
    """A row of a list of ads."""

    def test_it_becomes_an_ad(self) -> None:
        """With its issues, and its review's words on one line."""
        row = {
            **AD_ROW,
            "issues_info": [
                {"error_code": 3390001, "error_summary": "Lost", "error_message": "Choose", "error_type": "HARD_ERROR"}
            ],
            "ad_review_feedback": {"global": {"ONE": "No shouting"}, "placement_specific": {"facebook": {"TWO": "No"}}},
        }

        assert parse_ad(row) == Ad(
            "11",
            "Ad",
            "ACTIVE",
            "ACTIVE",
            (AdIssue(3390001, "Lost", "Choose", "HARD_ERROR"),),
            "ONE: No shouting; TWO: No",
        )

    @pytest.mark.parametrize(
        "row",
        ids(
            [
                *[(f"without {key}", without(AD_ROW, key)) for key in ("id", "status", "effective_status")],
                ("id a number", {**AD_ROW, "id": 11}),
                ("status a number", {**AD_ROW, "status": 1}),
                ("issues no list", {**AD_ROW, "issues_info": {"data": []}}),
                ("issues no objects", {**AD_ROW, "issues_info": ["3390001"]}),
            ]
        ),
    )
    def test_one_that_lacks_what_is_needed_is_refused(self, row: dict[str, Any]) -> None:
        """A guess at what is not there could switch a paused ad on."""
        with pytest.raises(MetaInvalidError, match="Meta lists"):
            parse_ad(row)

    @pytest.mark.parametrize(
        ("adset", "said"),
        [
            (None, ""),
            ("120200000000000501", ""),
            ({"effective_status": "ACTIVE", "issues_info": [{"error_summary": "Narrow"}]}, ""),
            ({"effective_status": "WITH_ISSUES"}, "no reason given"),
            ({"effective_status": "WITH_ISSUES", "issues_info": [{"error_summary": "No audience"}]}, "No audience"),
        ],
    )
    def test_what_is_wrong_with_its_whole_ad_set(self, adset: Any, said: str) -> None:
        """Only an ad set with issues is told of."""
        assert parse_ad({**AD_ROW, "adset": adset}).adset_issues == said

    def test_the_configured_status_goes_by_two_names(self) -> None:
        """Where the one is missing, the other will do."""
        assert parse_ad({**without(AD_ROW, "status"), "configured_status": "PAUSED"}).status == "PAUSED"
        assert parse_ad({**AD_ROW, "configured_status": "PAUSED"}).status == "ACTIVE"

    @pytest.mark.parametrize("name", [None, "", "\u200b\u202e", 0])
    def test_one_without_a_name_goes_by_its_id(self, name: Any) -> None:
        """A name is for people only; its lack is no reason to leave an ad out."""
        assert parse_ad({**AD_ROW, "name": name}).name == "11"

    def test_a_name_is_made_fit_to_show(self) -> None:
        """People give names, and there may be anything in them."""
        name = parse_ad({**AD_ROW, "name": "Two\nlines \u202eturned" + "x" * 500}).name

        assert name.startswith("Two lines turnedx")
        assert len(name) == MAX_NAME_CHARS

    @pytest.mark.parametrize(
        ("code", "read"),
        [
            (3390001, 3390001),
            ("3390001", 3390001),
            (-3, -3),
            (None, None),
            ("soon", None),
            (1.5, None),
            ("9" * 13, None),
        ],
    )
    def test_an_issues_code_is_a_number_or_unknown(self, code: Any, read: int | None) -> None:
        """Meta writes it either way."""
        (issue,) = parse_ad({**AD_ROW, "issues_info": [{"error_code": code}]}).issues

        assert (issue.code, issue.summary, issue.message, issue.type) == (read, "Issue", "", None)

    @given(hostile({**AD_ROW, "issues_info": [{"error_code": 1}], "ad_review_feedback": {"global": {"A": "b"}}}))
    def test_whatever_a_row_holds_it_is_used_or_refused(self, row: dict[str, Any]) -> None:
        """No row ends a campaign as a defect of this package."""
        try:
            found = parse_ad(row)
        except MetaInvalidError:
            return
        assert found.id == row["id"]
        assert found.name


def activity(new: Any = "Inactive", *, extra: Any = None, **more: Any) -> dict[str, Any]:
    """Return a row of the activity log in which an ad gets a status."""
    told = {"old_value": "Active", "new_value": new, "campaign_id": 1, "type": "run_status", **(extra or {})}
    usual = {
        "event_time": "2026-05-04T10:31:00+0000",
        "event_type": "update_ad_run_status",
        "object_id": "11",
        "actor_name": "Pat Example",
        "extra_data": json.dumps(told),
    }
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


AT = START + timedelta(minutes=1)


class TestStatusChanges:
    """A row of the activity log."""

    @pytest.mark.parametrize(
        ("row", "actor"),
        [
            pytest.param(activity(), Actor.ADVERTISER, id="a person"),
            pytest.param(activity(actor_name="Example Bid Tool"), Actor.ADVERTISER, id="another app"),
            pytest.param(activity(actor_name="Meta"), Actor.META, id="Meta"),
            pytest.param(activity(actor_name="Facebook"), Actor.META, id="Meta by its older name"),
            pytest.param(activity(actor_name="META"), Actor.META, id="in capitals"),
            pytest.param(
                activity(actor_name="Meta", extra={"rule_info": {"rule_id": 1, "rule_name": "Pause costly ads"}}),
                Actor.ADVERTISER,
                id="an automated rule of the advertiser",
            ),
            pytest.param(activity(actor_name="Meta", extra={"rule_info": None}), Actor.META, id="no rule"),
            pytest.param(activity(actor_name="Metadata GmbH"), Actor.ADVERTISER, id="a name that begins like Meta's"),
            pytest.param(activity(actor_name=None), Actor.UNKNOWN, id="without an actor"),
            pytest.param(activity(actor_name=""), Actor.UNKNOWN, id="with an empty name"),
            pytest.param(activity(actor_name=17), Actor.UNKNOWN, id="with a number for a name"),
        ],
    )
    def test_who_it_was(self, row: dict[str, Any], actor: Actor) -> None:
        """A person, another app and an advertiser's rule are one; Meta without a rule is the other."""
        found = parse_status_change(row)

        assert found is not None
        assert (found.ad_id, found.at, found.ends_pause, found.actor) == ("11", AT, False, actor)

    @pytest.mark.parametrize(
        ("status", "ends_pause"),
        [
            ("Inactive", False),
            ("inactive", False),
            ("Paused", False),
            ("Active", True),
            ("ACTIVE", True),
            ("Pending Process", True),
        ],
    )
    @pytest.mark.parametrize("kind", ["update_ad_run_status", "update_ad_run_status_to_be_set_after_review"])
    def test_what_it_tells(self, kind: str, status: str, *, ends_pause: bool) -> None:
        """Statuses are words for people. Of an edit in process, the result may be missing from the log."""
        found = parse_status_change(activity(status, event_type=kind))

        assert found == StatusChange("11", AT, ends_pause, Actor.ADVERTISER, "Pat Example")

    @pytest.mark.parametrize(
        ("text", "at"),
        [
            ("2026-05-04T10:31:00+0000", AT),
            ("2026-05-04T03:31:00-0700", AT),
            ("2026-05-04T10:31:00Z", AT),
            ("2026-05-04T10:31:00", None),
            ("yesterday", None),
            (1777890660, None),
            (None, None),
        ],
    )
    def test_when_it_was(self, text: Any, at: datetime | None) -> None:
        """A row whose time cannot be told might be of another year, so it tells nothing."""
        found = parse_status_change(activity(event_time=text))

        assert (None if found is None else found.at.astimezone(UTC)) == at

    @pytest.mark.parametrize(
        "row",
        ids(
            [
                ("another event", activity(event_type="update_ad_set_run_status")),
                ("no event", activity(event_type=None)),
                ("an event that is a list", activity(event_type=["update_ad_run_status"])),
                ("an event that is an object", activity(event_type={})),
                ("Meta's own, on its way", activity("Pending Process", actor_name="Meta")),
                ("in review", activity("Pending Review")),
                ("the end of a review", activity(actor_name="Meta", extra={"old_value": "Pending Review"})),
                ("a status in another language", activity("Inaktiv")),
                ("a status that is none", activity(7)),
                ("no status", activity(None)),
                ("no details", activity(extra_data=None)),
                ("details that are no JSON", activity(extra_data="{new_value")),
                ("details that are a list", activity(extra_data="[]")),
                ("details that are no text", activity(extra_data={"new_value": "Inactive"})),
                ("nothing", {}),
            ]
        ),
    )
    def test_what_tells_nothing_of_an_ad_switched_on_or_off(self, row: dict[str, Any]) -> None:
        """It is left out, and no other row with it."""
        assert parse_status_change(row) is None

    def test_an_id_may_be_a_number(self) -> None:
        """JSON knows both."""
        found = parse_status_change(activity(object_id=11))

        assert found is not None
        assert found.ad_id == "11"

    @given(hostile(activity()))
    def test_whatever_a_row_holds_it_is_used_or_left_out(self, row: dict[str, Any]) -> None:
        """The log is only read to spare a person's pause: it must never be what fails."""
        found = parse_status_change(row)

        assert found is None or found.ad_id


def described(states: str, ages: str = "18 - 65", heading: str = "Location - Living in:") -> list[dict[str, Any]]:
    """Return a targeting as the log describes it."""
    return [{"content": heading, "children": [f"United States: {states}"]}, {"content": "Age:", "children": [ages]}]


def targeting_row(before: Any, after: Any, **more: Any) -> dict[str, Any]:
    """Return a row of the activity log in which an ad set gets another targeting."""
    told = {"old_value": before, "new_value": after, "type": "targets_spec"}
    usual = {"event_type": "update_ad_set_target_spec", "application_id": "90", "extra_data": json.dumps(told)}
    return activity(**{**usual, **more})


OHIO, TEXAS = described("Ohio"), described("Texas")


class TestTargetingEdits:
    """A row of the activity log about other locations."""

    @pytest.mark.parametrize(
        "case",
        ids(
            [
                ("other states", (targeting_row(OHIO, TEXAS), "Pat Example", "90")),
                ("and another age", (targeting_row(OHIO, described("Texas", "21 - 65")), "Pat Example", "90")),
                ("the first states", (targeting_row([], TEXAS), "Pat Example", "90")),
                ("an app's number", (targeting_row(OHIO, TEXAS, application_id=90), "Pat Example", "90")),
                ("no app", (targeting_row(OHIO, TEXAS, application_id=None), "Pat Example", "")),
                ("an app that is a list", (targeting_row(OHIO, TEXAS, application_id=[1]), "Pat Example", "")),
                ("no name", (targeting_row(OHIO, TEXAS, actor_name=None), "", "90")),
                ("a name in two lines", (targeting_row(OHIO, TEXAS, actor_name="Pat\nExample"), "Pat Example", "90")),
                ("a name that is a number", (targeting_row(OHIO, TEXAS, actor_name=7), "", "90")),
            ]
        ),
    )  # fmt: skip
    def test_who_it_was(self, case: tuple[dict[str, Any], str, str]) -> None:
        """And with which app."""
        row, name, app_id = case
        assert parse_targeting_edit(row) == TargetingEdit("11", AT, name, app_id)

    @pytest.mark.parametrize(
        "row",
        ids(
            [
                ("no details", targeting_row(OHIO, TEXAS, extra_data=None)),
                ("details that are a list", targeting_row(OHIO, TEXAS, extra_data="[]")),
                ("a text before", targeting_row("Ohio", OHIO)),
                ("a text after", targeting_row(OHIO, "Ohio")),
                ("texts", targeting_row(["Ohio"], ["Ohio"])),
            ]
        ),
    )
    def test_what_cannot_be_read_counts_but_is_not_certain(self, row: dict[str, Any]) -> None:
        """It may be the edit that is looked for."""
        assert parse_targeting_edit(row) == TargetingEdit("11", AT, "Pat Example", "90", is_certain=False)

    @pytest.mark.parametrize(
        "row",
        ids(
            [
                ("another age only", targeting_row(OHIO, described("Ohio", "21 - 65"))),
                ("another event", targeting_row(OHIO, TEXAS, event_type="update_ad_set_run_status")),
                ("an event that is a list", targeting_row(OHIO, TEXAS, event_type=[])),
                ("no time", targeting_row(OHIO, TEXAS, event_time=None)),
                ("nothing", {}),
            ]
        ),
    )
    def test_what_tells_nothing_of_locations(self, row: dict[str, Any]) -> None:
        """It is left out."""
        assert parse_targeting_edit(row) is None

    @given(hostile(targeting_row(OHIO, TEXAS)))
    def test_whatever_a_row_holds_it_is_used_or_left_out(self, row: dict[str, Any]) -> None:
        """A name is no reason for a run to fail."""
        found = parse_targeting_edit(row)

        assert isinstance(found, TargetingEdit | None)
