"""Shell completion; it offers nothing where the candidates cannot be found quickly."""

import os
import shlex
import sys
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

VARIABLE = "_CLOSRADS_COMPLETE"
"""Set while a shell requests completions."""
ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
DEFAULT_STAGE = "prod"


_FUNCTION = """\
closrads() {{ PYTHONPATH={root} {python} -m closrads "$@"; }}
"""
_BASH = """\
_closrads_offer() {{
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD {variable}=complete_bash closrads))
}}
complete -o default -F _closrads_offer closrads
"""
_ZSH = """\
_closrads_offer() {{
    eval "$(_TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {variable}=complete_zsh closrads)"
}}
compdef _closrads_offer closrads
"""
_FISH = """\
function closrads
    PYTHONPATH={root} {python} -m closrads $argv
end
function _closrads_offer
    env PYTHONPATH={root} {variable}=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _TYPER_COMPLETE_ARGS=(commandline --cut-at-cursor --current-process | string collect) {python} -m closrads
end
complete --command closrads --arguments '(_closrads_offer)'
"""


class Shell(StrEnum):
    """The supported shells."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def script(shell: Shell) -> str:
    """Return the script that a shell evaluates to enable completion."""
    text = {Shell.BASH: _FUNCTION + _BASH, Shell.ZSH: _FUNCTION + _ZSH, Shell.FISH: _FISH}[shell]
    names = {"root": shlex.quote(str(ROOT)), "python": shlex.quote(sys.executable), "variable": VARIABLE}
    return text.format(**names)


def event_names() -> list[str]:
    """Return the names of the event files, without folder and extension."""
    return sorted(file.stem for file in EVENTS.glob("*.json"))


def stages(incomplete: str) -> list[str]:
    """Return the matching stages of `samconfig.toml`."""
    found = set()
    with suppress(OSError, tomllib.TOMLDecodeError):
        for tables in tomllib.loads((ROOT / "samconfig.toml").read_text()).values():
            if isinstance(tables, dict):
                overrides = tables.get("deploy", {}).get("parameters", {}).get("parameter_overrides", ())
                found |= {each.removeprefix("Stage=") for each in overrides if each.startswith("Stage=")}
    return _matching(incomplete, found)


def events(incomplete: str) -> list[str]:
    """Return the matching event files; the shell itself completes other files."""
    return _matching(incomplete, event_names())


def campaigns(incomplete: str) -> list[str]:
    """Return the matching slugs of campaigns with parameters; one attempt with short timeouts, as a person waits."""
    # Imported here, because the other completions do not need it.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    path = os.environ.get("CLOSRADS_PARAMETER_PATH") or f"/closrads/{os.environ.get('CLOSRADS_STAGE', DEFAULT_STAGE)}"
    config = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})
    found = set()
    with suppress(BotoCoreError, ClientError):
        pages = boto3.client("ssm", config=config).get_paginator("get_parameters_by_path")
        for page in pages.paginate(Path=f"{path}/campaigns", Recursive=True, WithDecryption=False):
            found |= {each["Name"].removeprefix(f"{path}/campaigns/").split("/")[0] for each in page["Parameters"]}
    return _matching(incomplete, found)


def _matching(incomplete: str, candidates: Iterable[str]) -> list[str]:
    return sorted(candidate for candidate in candidates if candidate.startswith(incomplete))
