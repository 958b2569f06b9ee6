"""PURE: a stage's parameters as a file, and what a file would change.

Two kinds of file are read. TOML spells the parameters' names as tables::

    [campaigns.veterans]
    closrtech_campaign = "VND_VETERAN_LEADS"
    fb_campaign_ids = ["120200000000000900"]

And the `.env` of the system before this one, where any prefix is a campaign: `VETERANS_CLOSRTECH_CAMPAIGN`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import Any

from dotenv import dotenv_values

HIDDEN = "***"
"""Stands for a secret wherever one is shown; in a file that is pushed it means: as it is."""

_SHARED_VARIABLES = {
    "CLOSRTECH_BASE_URL": "closrtech/base_url",
    "CLOSRTECH_EMAIL": "closrtech/email",
    "CLOSRTECH_PASSWORD": "closrtech/password",
    "FB_ACCESS_TOKEN": "meta/access_token",
    "FB_APP_SECRET": "meta/app_secret",
    "SENDER_EMAIL": "email/sender",
    "NOTIFY_EMAIL": "email/recipients",
}
_VARIABLES_OF_A_CAMPAIGN = {
    "CLOSRTECH_CAMPAIGN": "closrtech_campaign",
    "FB_ACCESS_TOKEN": "fb_access_token",
    "FB_AD_ACCOUNT_ID": "fb_ad_account_id",
    "FB_CAMPAIGN_IDS": "fb_campaign_ids",
    "FB_CAMPAIGN_ID": "fb_campaign_ids",
}


class Kind(StrEnum):
    """The types of parameters, as the Parameter Store names them."""

    STRING = "String"
    STRING_LIST = "StringList"
    SECURE_STRING = "SecureString"


def kind_of(name: str) -> Kind:
    """Return the type that a parameter, named below the stage's path, is to have."""
    if name.endswith(("closrtech/email", "closrtech/password", "access_token", "app_secret")):
        return Kind.SECURE_STRING
    return Kind.STRING_LIST if name.endswith(("fb_campaign_ids", "email/recipients")) else Kind.STRING


class UnreadableFileError(Exception):
    """A file says nothing that could be pushed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """What a file says."""

    values: Mapping[str, str]
    """By name below the stage's path; lists are joined by commas."""
    left_out: tuple[str, ...] = ()
    """What stands in the file and is no parameter."""


def read_toml(text: str) -> ParameterFile:
    """Read a TOML file.

    Raises
    ------
    UnreadableFileError
        It is none, or holds something that no parameter can be.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableFileError(f"This is no TOML: {error}") from None
    values: dict[str, str] = {}
    _flatten("", tables, values)
    return ParameterFile({name: value for name, value in values.items() if value != HIDDEN})


def _flatten(name: str, value: Any, values: dict[str, str]) -> None:
    match value:
        case dict():
            for key, below in value.items():
                _flatten(f"{name}/{key}" if name else key, below, values)
        case list() if all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
            values[name] = ",".join(map(str, value))
        case bool():
            values[name] = str(value).lower()
        case str() | int() | float():
            values[name] = str(value).strip()
        case _:
            raise UnreadableFileError(f"{name}: must be a text, a number, true, false or a list of texts")


def read_env(text: str) -> ParameterFile:
    """Read the `.env` of the system before this one; what is empty there is not set.

    Raises
    ------
    UnreadableFileError
        Two lines contradict each other.
    """
    values: dict[str, str] = {}
    left_out = []
    for variable, given in dotenv_values(stream=StringIO(text), interpolate=False).items():
        name, value = _name_of(variable), (given or "").strip()
        if name is None or not value:
            left_out.append(variable)
            continue
        value = _in_its_form(name, value)
        if values.setdefault(name, value) != value:
            raise UnreadableFileError(f"{variable}: contradicts another line that also means {name}")
    return ParameterFile(values, tuple(left_out))


def _name_of(variable: str) -> str | None:
    """Return the parameter that a variable stands for, None if it stands for none."""
    if variable in _SHARED_VARIABLES:
        return _SHARED_VARIABLES[variable]
    for suffix, name in _VARIABLES_OF_A_CAMPAIGN.items():
        if variable.endswith(f"_{suffix}"):
            slug = variable.removesuffix(f"_{suffix}").strip("_").lower().replace("_", "-")
            return f"campaigns/{slug}/{name}" if slug else None
    return None


def _in_its_form(name: str, value: str) -> str:
    """Return a value as this system wants it: the one before was less particular."""
    if kind_of(name) is Kind.STRING_LIST:
        return ",".join(re.split(r"[\s,;]+", value.strip("[](),; ").replace('"', "")))
    if name.endswith("fb_ad_account_id") and value.isdecimal():
        return f"act_{value}"
    return value


def shown_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return parameters with secrets hidden."""
    return {name: HIDDEN if kind_of(name) is Kind.SECURE_STRING else values[name] for name in sorted(values)}


def as_toml(values: Mapping[str, str]) -> str:
    """Return parameters as a TOML file, with secrets hidden."""
    tables: dict[str, list[str]] = {}
    for name, value in shown_values(values).items():
        table, _, key = name.rpartition("/")
        is_list = kind_of(name) is Kind.STRING_LIST
        shown = "[" + ", ".join(map(_quoted, value.split(","))) + "]" if is_list else _quoted(value)
        tables.setdefault(".".join(table.split("/")), []).append(f"{key} = {shown}")
    return "\n\n".join("\n".join((f"[{table}]", *lines)) for table, lines in tables.items()) + "\n"


def _quoted(text: str) -> str:
    escaped = re.sub(r'[\x00-\x1f\x7f"\\]', lambda found: f"\\u{ord(found[0]):04x}", text)
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter that a file would add or change."""

    name: str
    before: str | None
    """None if it is not there yet."""
    after: str

    @property
    def shown(self) -> tuple[str, str]:
        """What stands before and after, fit to be shown."""
        before = "" if self.before is None else self.before
        if kind_of(self.name) is Kind.SECURE_STRING:
            return HIDDEN if before else "", f"{HIDDEN} (another one)" if before else HIDDEN
        return before, self.after


def differences(there: Mapping[str, str], wanted: Mapping[str, str]) -> list[Difference]:
    """Return what would change, by name; what the file does not name stays."""
    return [
        Difference(name, there.get(name), wanted[name]) for name in sorted(wanted) if there.get(name) != wanted[name]
    ]
