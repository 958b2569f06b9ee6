"""The documents name what there is, and all of it: alarms, results, states, parameters, event files, links."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from closrads.cli.app import app
from closrads.domain.adset_results import Result
from closrads.domain.changes import TRANSITIONS, ChangeState
from closrads.domain.request import _KEYS
from closrads.domain.settings import Limits
from closrads.parameters import _CAMPAIGN_PARAMETERS, _SHARED_PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
RUNBOOK, LIFECYCLE, PARAMETERS, EVENTS = (
    ROOT / "docs" / f"{name}.md" for name in ("runbook", "lifecycle", "parameters", "events")
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def first_words(document: Path, heading: str) -> set[str]:
    """Return what the first column of the table below a heading names, between backticks."""
    section = document.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def test_the_runbook_knows_every_alarm() -> None:
    """Who is paged finds the alarm by its name, and no alarm that does not exist."""
    template = (ROOT / "template.yaml").read_text()

    assert first_words(RUNBOOK, "By alarm") == set(
        re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm", template, re.MULTILINE)
    )


def test_the_runbook_knows_every_result() -> None:
    """Each word that a report can say of an ad set."""
    assert first_words(RUNBOOK, "By word") == set(Result)


@pytest.mark.parametrize("word", [*Result, *ChangeState])
def test_the_lifecycle_knows_every_word(word: str) -> None:
    """Each end of an ad set's way through a run, and each state of its change."""
    assert re.search(rf"\b{word}\b", LIFECYCLE.read_text())


def test_every_parameter_is_listed() -> None:
    """No more and no less than what is read."""
    listed = first_words(PARAMETERS, "Parameters")

    assert first_words(PARAMETERS, "Limits") == set(Limits.__dataclass_fields__)
    assert {name for name in listed if "/" in name or name in _SHARED_PARAMETERS} == {
        *_SHARED_PARAMETERS,
        *(f"campaigns/<slug>/{name}" for name in _CAMPAIGN_PARAMETERS),
        "limits/<name>",
        "campaigns/<slug>/limits/<name>",
    }


def test_every_event_file_is_listed() -> None:
    """Each file of `events/`, and none that is gone."""
    named = set(re.findall(r"`(events/[\w-]+\.json)`", EVENTS.read_text()))

    assert named == {str(path.relative_to(ROOT)) for path in (ROOT / "events").iterdir()}


def test_every_variable_is_listed() -> None:
    """What the function reads, what the template sets, and no more."""
    sources = ((ROOT / "closrads" / name).read_text() for name in ("config.py", "parameters.py"))
    read = {name for source in sources for name in re.findall(r'"(CLOSRADS_\w+|DRY_RUN)"', source)}
    declared = set(re.findall(r"^ {10}(CLOSRADS_\w+|DRY_RUN):", (ROOT / "template.yaml").read_text(), re.MULTILINE))

    assert first_words(PARAMETERS, "Environment") == read == declared


def test_every_key_of_an_event_is_listed() -> None:
    """What an event may hold, and no more."""
    assert first_words(EVENTS, "Keys") == _KEYS - {"step"}


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    """Somebody new reads it to its end."""
    text = README.read_text()
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", text))

    assert len(text.splitlines()) <= 150
    assert {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")} - linked == {"docs/dependencies.md"}


def test_the_map_of_the_code_shows_every_module() -> None:
    """Somebody new finds what each file is for; those of `doctor` and of the email's wording are named by subject."""
    shown = set(re.findall(r"\b\w+\.py\b", ARCHITECTURE.read_text()))
    modules = {
        path.name
        for path in (ROOT / "closrads").rglob("*.py")
        if path.parent.name not in {"doctor", "wording"} and not path.name.startswith("__")
    }

    assert modules <= shown


def test_the_map_of_the_code_shows_its_layers() -> None:
    """In the order that import-linter enforces."""
    drawing = ARCHITECTURE.read_text().split("Imports may only point downward")[1].split("```")[1]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["name"] == "Data flows one way")

    assert [set(re.findall(r"\w+", layer)) for layer in drawing.split("▸")] == [
        set(re.findall(r"closrads\.(\w+)", layer)) for layer in layers
    ]


def test_the_breakpoint_of_the_example_is_where_an_ad_set_is_decided_on() -> None:
    """Whoever tries the debugger stops there, with the ad set in sight."""
    (line,) = re.findall(r"break closrads/domain/plan\.py:(\d+)", (ROOT / "CONTRIBUTING.md").read_text())
    module = ast.parse((ROOT / "closrads/domain/plan.py").read_text())
    (decide,) = (each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == "decide")

    assert int(line) == decide.body[1].lineno, "the first line after the docstring"


def test_the_decisions_are_listed_with_their_status() -> None:
    """Who reads a record, or only the list, knows whether it still holds."""
    folder = ROOT / "docs" / "decisions"
    head = re.compile(
        r"# (?P<title>\d{4} .+)\n\n\*(?P<date>\d{4}-\d\d-\d\d), "
        r"(?P<status>accepted|superseded (in part )?by \[\d{4}\]\(.+?\))\.( Replaces .+)?\*\n"
    )
    rows = []
    for record in sorted(folder.glob("[0-9]*.md")):
        said = head.match(record.read_text())
        assert said, record.name
        assert said["title"][:4] == record.name[:4]
        rows.append(f"| [{said['title']}]({record.name}) | {said['date']} | {said['status']} |")

    assert re.findall(r"^\| \[.+$", (folder / "README.md").read_text(), re.MULTILINE) == rows


def test_every_command_that_is_named_exists() -> None:
    """Whoever reads `python -m closrads something` in a document can type it."""
    commands = set(get_command(app).commands)  # type: ignore[attr-defined] # of a group
    named = {
        name for document in DOCUMENTS for name in re.findall(r"python -m closrads ([a-z][\w-]*)", document.read_text())
    }

    assert named
    assert named <= commands


def test_every_make_target_that_is_named_exists() -> None:
    """Whoever reads `make something` in a document can do it."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for document in DOCUMENTS for name in re.findall(r"`make ([\w-]+)", document.read_text())}

    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    """Within this project: a file, and in it the heading."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        text = (document.parent / path if path else document).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target


def test_the_drawing_shows_the_steps_of_a_change() -> None:
    """No arrow more and no arrow less than the ledger allows."""
    drawing = LIFECYCLE.read_text().split("```mermaid\n")[1].split("```")[0]
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", drawing, re.MULTILINE))

    assert drawn == {(state.value, step.value) for state, steps in TRANSITIONS.items() for step in steps}
