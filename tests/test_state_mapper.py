"""The region table, and the script that compares it with Meta's own search."""

import json
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.state_mapper import (
    REGION_FILE,
    build_fb_regions,
    fb_region_to_usps,
    is_region_name,
    is_state,
    is_unreadable,
    normalized,
    usps_to_fb_region,
)
from sandbox.meta import faults
from scripts import check_regions
from tests.world import World

USPS = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR "
    "PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
CODES = USPS.split()


def test_the_table_is_complete_and_one_to_one() -> None:
    """50 states and DC, each with a key of its own from 3843 to 3893, a name of its own, and the US as country."""
    table = json.loads(REGION_FILE.read_text(encoding="utf-8"))

    assert set(table) == set(CODES)
    assert {region["key"] for region in table.values()} == {str(key) for key in range(3843, 3894)}
    assert len({region["name"] for region in table.values()}) == 51
    assert all(set(region) == {"key", "name", "country"} and region["country"] == "US" for region in table.values())


def test_keys_follow_the_names_with_dc_between_delaware_and_florida() -> None:
    """A table that leaves DC out would shift Florida and every state after it to its neighbour."""
    assert [fb_region_to_usps(str(3843 + place)) for place in range(51)] == CODES


@pytest.mark.parametrize(
    ("code", "key", "name"),
    [("OH", "3878", "Ohio"), ("CA", "3847", "California"), ("TX", "3886", "Texas"), ("FL", "3852", "Florida")],
)
def test_anchors(code: str, key: str, name: str) -> None:
    """Keys that Meta's own documentation shows."""
    assert usps_to_fb_region(code) == {"key": key, "name": name, "country": "US"}


@pytest.mark.parametrize("code", CODES)
def test_a_full_name_is_as_good_as_a_code(code: str) -> None:
    """In any case, with spaces around it and between its words."""
    region = usps_to_fb_region(code)

    assert region is not None
    for name in (region["name"], f"  {region['name'].lower()}\t", region["name"].upper().replace(" ", "  ")):
        assert normalized(name) == code
        assert usps_to_fb_region(name) == region


@pytest.mark.parametrize("name", ["District of Columbia", "Washington, D.C.", "washington dc", "D.C."])
def test_the_capital_has_several_names(name: str) -> None:
    """None of them is the state of Washington."""
    assert normalized(name) == "DC"


@pytest.mark.parametrize("code", ["PR", "gu", "Puerto Rico", "U.S. Virgin Islands", "AE", "Total", "TX", "Texas"])
def test_states_territories_and_totals_can_be_read(code: str) -> None:
    """None of them can mean another state."""
    assert not is_unreadable(code)


@pytest.mark.parametrize("code", ["XX", "Texs", "US", "All", "TX2", "", "78701"])
def test_what_may_mean_any_state_cannot_be_read(code: str) -> None:
    """Not even a word for all of them."""
    assert is_unreadable(code)


@given(st.sampled_from(CODES), st.booleans())
def test_codes_in_any_case_lead_there_and_back(code: str, lower: bool) -> None:  # noqa: FBT001 - hypothesis fills it in
    """Mapping to Meta's key and back is the identity."""
    region = usps_to_fb_region(f" {code.lower() if lower else code} ")

    assert region is not None
    assert fb_region_to_usps(region["key"]) == code


def test_an_unknown_code_is_left_out_with_a_warning(log: StringIO) -> None:
    """Territories and misspellings do not stop the others."""
    assert [region["name"] for region in build_fb_regions(["TX", "PR", "fl", "TX"])] == ["Florida", "Texas"]
    assert '"code":"PR"' in log.getvalue()
    assert not is_state("PR")


def test_the_table_cannot_be_changed_through_a_region() -> None:
    """Every caller gets a region of its own."""
    region = usps_to_fb_region("TX")
    assert region is not None
    region["key"] = "0"

    assert usps_to_fb_region("TX") == {"key": "3886", "name": "Texas", "country": "US"}


class TestCheckRegions:
    """`python -m scripts.check_regions` against the sandbox's search endpoint."""

    @pytest.fixture(autouse=True)
    def _address(self, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("META_ACCESS_TOKEN", world.meta.token)
        monkeypatch.setattr("sys.argv", ["check_regions"])
        self.file = tmp_path / "fb_region_keys.json"
        self.file.write_text(REGION_FILE.read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.setattr(check_regions, "REGION_FILE", self.file)

    def test_the_file_is_as_meta_has_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The shipped table agrees with the search."""
        assert check_regions.main() == 0
        assert "All 51 regions are as Meta has them." in capsys.readouterr().out

    def test_a_shifted_table_is_found(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The wrong table that circulates differs in Florida and every state after it."""
        table = json.loads(self.file.read_text(encoding="utf-8"))
        for code in CODES[CODES.index("FL") :]:
            table[code]["key"] = str(int(table[code]["key"]) - 1)
        self.file.write_text(json.dumps(table), encoding="utf-8")

        assert check_regions.main() == 1
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 51 - CODES.index("FL")
        assert lines[0].startswith("FL: the file has")

    def test_dc_may_be_spelled_otherwise(self) -> None:
        """DC is known by its key, whatever Meta calls it."""
        table = json.loads(self.file.read_text(encoding="utf-8"))
        table["DC"]["name"] = "District of Columbia"
        self.file.write_text(json.dumps(table), encoding="utf-8")

        assert check_regions.main() == 0

    def test_writes_the_file_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is written is, to the letter, what is shipped."""
        self.file.write_text("{}", encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["check_regions", "--write"])

        assert check_regions.main() == 0
        assert self.file.read_text(encoding="utf-8") == REGION_FILE.read_text(encoding="utf-8")

    def test_a_list_without_all_states_is_not_written(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Half an answer leaves the file as it is, and says what is missing and what is strange."""
        before = self.file.read_text(encoding="utf-8")
        rows = [{"key": "3851", "name": "Florida", "country_code": "US"}]
        rows += [{"key": "1", "name": "Guam", "country_code": "US"}]
        world.meta.fail(faults.answer({"data": rows}), on="GET search")
        monkeypatch.setattr("sys.argv", ["check_regions", "--write"])

        assert check_regions.main() == 2
        said = capsys.readouterr().err
        assert "FL" in said
        assert "1 Guam" in said
        assert self.file.read_text(encoding="utf-8") == before

    def test_a_territory_in_metas_list_is_only_mentioned(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What nobody asked for does not make the check fail."""
        rows = [
            {"key": region["key"], "name": region["name"], "country_code": "US"} for region in build_fb_regions(CODES)
        ]
        world.meta.fail(
            faults.answer({"data": [*rows, {"key": "1", "name": "Guam", "country_code": "US"}]}), on="GET search"
        )

        assert check_regions.main() == 0
        assert "1 Guam" in capsys.readouterr().out

    def test_the_token_is_not_sent_in_plain_text(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Meta's address follows the same rule as in the function's settings."""
        monkeypatch.setenv("CLOSRADS_GRAPH_URL", "http://graph.example.test")

        assert check_regions.main() == 2
        assert "CLOSRADS_GRAPH_URL" in capsys.readouterr().err

    def test_without_a_token_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The token is named by its variable."""
        monkeypatch.delenv("META_ACCESS_TOKEN")

        assert check_regions.main() == 2
        assert "META_ACCESS_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "name", "fits"),
    [
        ("3878", "Ohio", True),
        ("3878", "OHIO ", True),
        ("3878", "North Dakota", False),
        ("3851", "Washington D. C.", True),
        ("3851", "washington dc", True),
        ("3851", "District of Columbia", True),
        ("3851", "Washington", False),
        ("3890", "District of Columbia", False),
        ("1", "Guam", True),
    ],
)
def test_a_name_fits_however_it_is_spelled(key: str, name: str, *, fits: bool) -> None:
    """Another state's name does not, and of a region that is none of ours nothing is known."""
    assert is_region_name(key, name) is fits
