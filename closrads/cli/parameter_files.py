"""PURE: files with a stage's parameters, and the changes that a file would make.

Two formats are read. In TOML, tables form the names of the parameters::

    [campaigns.veterans]
    closrtech_campaign = "VND_VETERAN_LEADS"
    fb_campaign_ids = ["120200000000000900"]

In the `.env` of the previous system, any prefix denotes a campaign: `VETERANS_CLOSRTECH_CAMPAIGN`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from io import StringIO
from typing import Any

from dotenv.parser import Binding, parse_stream

from closrads.domain.settings import Limits

HIDDEN = "***"
"""Replaces secrets in output; in a file that is pushed, it leaves the parameter unchanged."""

SKIP_ADSETS = "/skip_adsets"
"""End of the name of the only list whose entries may contain blanks and brackets."""

DRY_RUN = "DRY_RUN"
"""The only variable of the old script that is not a parameter; each of its files has it."""
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
    "SKIP_ADSETS": "skip_adsets",
}


_FREE_MAILBOXES = frozenset(
    {
        "aol.com",
        "gmail.com",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "msn.com",
        "outlook.com",
        "yahoo.com",
        "ymail.com",
    }
)
"""Domains of mail providers; only the providers' own servers may sign mail from them."""


class ParameterType(StrEnum):
    """The Parameter Store's types."""

    STRING = "String"
    STRING_LIST = "StringList"
    SECURE_STRING = "SecureString"


def type_of(name: str) -> ParameterType:
    """Return the type of a parameter, given by its name below the stage's path."""
    if name.endswith(("closrtech/email", "closrtech/password", "access_token", "app_secret", "verify_token")):
        return ParameterType.SECURE_STRING
    is_list = name.endswith(("fb_campaign_ids", SKIP_ADSETS, "email/recipients"))
    return ParameterType.STRING_LIST if is_list else ParameterType.STRING


class UnreadableFileError(Exception):
    """A file cannot be pushed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """The content of a file."""

    values: Mapping[str, str]
    """Parameters by name below the stage's path; lists are joined by commas."""
    left_out: tuple[str, ...] = ()
    """Names in the file that are not parameters."""


def read_toml(text: str) -> ParameterFile:
    """Read a TOML file.

    Raises
    ------
    UnreadableFileError
        It is not valid TOML, or contains a value that a parameter cannot have.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableFileError(f"This is not valid TOML: {error}") from None
    values: dict[str, str] = {}
    _flatten("", tables, values)
    return ParameterFile({name: value for name, value in values.items() if value != HIDDEN})


def _flatten(name: str, value: Any, values: dict[str, str]) -> None:
    match value:
        case dict():
            for key, below in value.items():
                _flatten(f"{name}/{key}" if name else key, below, values)
        case list() if name.endswith(SKIP_ADSETS) and any("," in str(item) for item in value):
            raise UnreadableFileError(f"{name}: a pattern cannot contain a comma; write ? in its place")
        case list() if all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
            values[name] = ",".join(map(str, value))
        case bool():
            values[name] = str(value).lower()
        case str() | int() | float():
            values[name] = str(value).strip()
        case _:
            raise UnreadableFileError(f"{name}: must be a string, a number, true, false or a list of strings")


def read_env(text: str) -> ParameterFile:
    """Read the `.env` of the previous system; empty variables are ignored.

    Raises
    ------
    UnreadableFileError
        Two lines give different values for the same parameter.
    """
    values: dict[str, str] = {}
    lines: dict[str, Binding] = {}
    left_out = []
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            left_out.append(f"line {binding.original.line}, which cannot be read")
        if binding.key is None:
            continue
        name, value = _name_of(binding.key), (binding.value or "").strip()
        if name is None or not value:
            left_out.append(binding.key)
            continue
        value = _normalized(name, value)
        if values.setdefault(name, value) != value:
            raise UnreadableFileError(_contradiction(name, lines[name], binding))
        lines.setdefault(name, binding)
    return ParameterFile(values, tuple(left_out))


def _contradiction(name: str, one: Binding, other: Binding) -> str:
    """Say that two lines contradict each other, without their values, which may be secret."""
    what = f"{other.key}: line {other.original.line} contradicts line {one.original.line}, which also means {name}"
    is_of_a_campaign = name.startswith("campaigns/")
    return f"{what}. Give each campaign a prefix of its own" if is_of_a_campaign else f"{what}. Remove one of them"


def _name_of(variable: str) -> str | None:
    """Return the name of the parameter for a variable; None if there is none."""
    if variable in _SHARED_VARIABLES:
        return _SHARED_VARIABLES[variable]
    for suffix, name in _VARIABLES_OF_A_CAMPAIGN.items():
        if variable.endswith(f"_{suffix}"):
            slug = variable.removesuffix(f"_{suffix}").strip("_").lower().replace("_", "-")
            return f"campaigns/{slug}/{name}" if slug else None
    return None


def _normalized(name: str, value: str) -> str:
    """Return a value in this system's format; the previous system accepted others, too."""
    if name.endswith(SKIP_ADSETS):
        return ",".join(pattern.strip() for pattern in value.split(","))
    if type_of(name) is ParameterType.STRING_LIST:
        return ",".join(re.split(r"[\s,;]+", value.strip("[](),; ").replace('"', "")))
    if name.endswith("fb_ad_account_id") and value.isdecimal():
        return f"act_{value}"
    return value


def warnings_about(file: ParameterFile) -> list[str]:
    """Return warnings about values that are valid, but do not have the effect that their author may expect.

    A mail from a provider's domain that SES sends is signed by SES, not by the provider, and so fails DMARC (Amazon SES
    Developer Guide, "Complying with DMARC authentication protocol").
    """
    warnings = []
    domain = file.values.get("email/sender", "").rpartition("@")[2].lower()
    if domain in _FREE_MAILBOXES:
        warnings.append(
            f"email/sender: {domain} does not let Amazon SES send in its name, so the report would go to spam or be "
            "refused: use an address in a domain of your own. Recipients there are fine: docs/moving.md"
        )
    if DRY_RUN in file.left_out:
        warnings.append(
            "DRY_RUN has no effect here: a run is dry unless its event says otherwise, and nothing runs on its own "
            "until you deploy with Schedules=ON: docs/moving.md"
        )
    return warnings + [
        f"{variable} has no effect here, for an .env holds no limits: put {limit} into a TOML file"
        for variable in file.left_out
        if (limit := _limit_meant_by(variable))
    ]


def _limit_meant_by(variable: str) -> str:
    """Return the limit that a variable, perhaps misspelled, seems to name; empty if it does not."""
    before, _, key = variable.rpartition("LIMITS_")
    near = get_close_matches(key.lower(), Limits.__dataclass_fields__, 1)
    slug = before.strip("_").lower().replace("_", "-")
    return f"{f'campaigns/{slug}/' if slug else ''}limits/{near[0]}" if near else ""


def shown_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters with secrets hidden, sorted by name."""
    return {name: HIDDEN if type_of(name) is ParameterType.SECURE_STRING else values[name] for name in sorted(values)}


def as_toml(values: Mapping[str, str]) -> str:
    """Return the parameters as TOML, with secrets hidden."""
    tables: dict[str, list[str]] = {"": []}  # in TOML, values outside of tables come first
    for name, value in shown_values(values).items():
        table, _, key = name.rpartition("/")
        is_list = type_of(name) is ParameterType.STRING_LIST
        shown = "[" + ", ".join(map(_quoted, value.split(","))) + "]" if is_list else _quoted(value)
        tables.setdefault(".".join(table.split("/")), []).append(f"{key} = {shown}")
    texts = {table: "\n".join((f"[{table}]", *lines) if table else lines) for table, lines in tables.items() if lines}
    return "\n\n".join(texts.values()) + "\n"


def _quoted(text: str) -> str:
    escaped = re.sub(r'[\x00-\x1f\x7f"\\]', lambda found: f"\\u{ord(found[0]):04x}", text)
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter that a file would add or change."""

    name: str
    before: str | None
    """None if the parameter does not exist yet."""
    after: str

    @property
    def display_values(self) -> tuple[str, str]:
        """The values before and after, with secrets hidden."""
        before = "" if self.before is None else self.before
        if type_of(self.name) is ParameterType.SECURE_STRING:
            new = f"{HIDDEN} (another one)" if before and before != self.after else HIDDEN
            return HIDDEN if before else "", new
        return before, self.after


def differences(
    existing: Mapping[str, str], wanted: Mapping[str, str], *, rewrite_secrets: bool = False
) -> list[Difference]:
    """Return the parameters that `wanted` adds or changes, sorted by name; it removes none.

    With `rewrite_secrets`, unchanged secrets are included.
    """
    return [
        Difference(name, existing.get(name), value)
        for name, value in sorted(wanted.items())
        if existing.get(name) != value or (rewrite_secrets and type_of(name) is ParameterType.SECURE_STRING)
    ]
