"""Environment and SSM Parameter Store → `Settings`. Apart from `webhook`, the only reader of `os.environ`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads.domain.settings import CampaignConfig, EmailConfig, Settings
from closrads.errors import ConfigError, ConfigUnavailableError, PausedError
from closrads.parameters import NOT_BOOLEAN, PAUSED, parse_boolean, parse_contact, parse_settings, trimmed

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

__all__ = [
    "CampaignConfig",
    "daily_schedule",
    "load_contact",
    "load_settings",
    "prepare",
    "push_queue_url",
    "refuse_if_switched_off",
    "starts_in_lambda",
]

CACHE_SECONDS = 300
_SHARED_FOLDERS = ("closrtech/", "meta/", "email/", "limits/")


def starts_in_lambda() -> bool:
    """Return whether this process is a Lambda function (Developer Guide, "Defined runtime environment variables")."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def push_queue_url() -> str:
    """Return the URL of the queue of Meta's pushes; empty in a stack without `Webhook`."""
    return os.environ.get("CLOSRADS_PUSH_QUEUE", "")


def daily_schedule() -> str:
    """Return the expression of the daily run's schedule; `OFF` if it is off, empty outside of a stack."""
    return os.environ.get("CLOSRADS_SCHEDULE", "")


def prepare() -> None:
    """Create the client of the Parameter Store ahead of its first use."""
    _parameter_store()


@dataclass(frozen=True, slots=True)
class _Parameter:
    value: str = field(repr=False)
    changed_at: datetime


class _ParameterStore(SSMProvider):
    """Powertools' cached reads, which also return when each parameter was last changed."""

    client: "SSMClient"

    def _get_multiple(self, path: str, decrypt: bool | None = None, recursive: bool = False, **_: Any) -> Any:  # noqa: FBT001, FBT002 - Powertools' signature
        pages = self.client.get_paginator("get_parameters_by_path").paginate(
            Path=path, Recursive=recursive, WithDecryption=bool(decrypt)
        )
        return {
            found["Name"].removeprefix(path).lstrip("/"): _Parameter(found["Value"], found["LastModifiedDate"])
            for page in pages
            for found in page["Parameters"]
        }

    def read_now(self, path: str, *names: str) -> dict[str, _Parameter]:
        """Return those of the named parameters that exist, bypassing the cache.

        Raises
        ------
        ConfigUnavailableError
            They cannot be read.
        """
        try:
            answer = self.client.get_parameters(Names=[f"{path}/{name}" for name in names])
        except (BotoCoreError, ClientError) as error:
            what = "It could not be read whether CLOSRADS is paused"
            raise ConfigUnavailableError([f"{what} ({path}/paused), so nothing new is begun: {error}"]) from None
        return {
            found["Name"].removeprefix(f"{path}/"): _Parameter(found["Value"], found["LastModifiedDate"])
            for found in answer["Parameters"]
        }


@cache
def _parameter_store() -> _ParameterStore:
    # boto3's default session, shared with the other clients, loads its data only once. Waves wait for these reads.
    config = Config(proxies={}, connect_timeout=1, read_timeout=3)
    return _ParameterStore(boto3_client=boto3.client("ssm", config=config))


def load_settings(only: Sequence[str] | None = None) -> Settings:
    """Return the settings; a warm container caches the parameters for at most `CACHE_SECONDS`.

    Parameters
    ----------
    only
        Slugs of the campaigns to read; None for all. A page holds only ten parameters, so an invocation for one
        campaign should not read those of hundreds.

    Raises
    ------
    ConfigError
        Lists every problem. Invalid parameters are not cached: the next call reads them again.
    """
    path = _path()
    store = _parameter_store()
    folders = [""] if only is None else [*_SHARED_FOLDERS, *(f"campaigns/{slug}/" for slug in only)]
    found: dict[str, _Parameter] = {} if only is None else store.read_now(path, PAUSED)
    try:
        for folder in folders:
            below: Mapping[str, Any] = store.get_multiple(
                f"{path}/{folder}".rstrip("/"), max_age=CACHE_SECONDS, recursive=True, decrypt=True
            )
            found |= {folder + name: parameter for name, parameter in below.items()}
    except GetParameterError as error:
        raise ConfigUnavailableError([f"{path}: the Parameter Store cannot be read: {error}"]) from None
    values = {name: parameter.value for name, parameter in found.items()}
    changed = {name: parameter.changed_at for name, parameter in found.items()}
    settings = None
    try:
        settings = parse_settings(path, values, os.environ, changed, needs_campaigns=only is None)
    finally:
        if settings is None or settings.paused_since:  # a correction or a resume must not wait for the cache
            store.clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    return settings


def load_contact() -> tuple[EmailConfig | None, ZoneInfo]:
    """Return the sender and recipients of a mail about unusable settings, and the time zone of its date.

    The former is None if not even these can be read.
    """
    try:
        path = _path()
        below: Mapping[str, Any] = _parameter_store().get_multiple(
            f"{path}/email", max_age=CACHE_SECONDS, recursive=True, decrypt=True
        )
    except (ConfigError, GetParameterError):
        return None, ZoneInfo("UTC")
    values = {f"email/{name}": parameter.value for name, parameter in below.items()}
    return parse_contact(path, values, os.environ)


def refuse_if_switched_off(slug: str | None = None) -> None:
    """Raise if no change may be started, at all or in the given campaign; the cache is bypassed.

    Raises
    ------
    PausedError
        Everything is paused, or the campaign is switched off.
    ConfigError
        That cannot be read, or one of the two parameters is neither true nor false.
    """
    path, enabled = _path(), f"campaigns/{slug}/enabled"
    found = _parameter_store().read_now(path, PAUSED, *([enabled] if slug else []))
    for name, what, usual in ((PAUSED, "CLOSRADS is paused", False), (enabled, "the campaign is switched off", True)):
        if name not in found:
            continue
        is_on = parse_boolean(trimmed(found[name].value))
        if is_on is None:
            raise ConfigError([f"{path}/{name}: {NOT_BOOLEAN}; nothing new is begun until it is"])
        if is_on is not usual:
            since = found[name].changed_at
            said = f"Not begun: {what}, since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            raise PausedError(said, since, is_of_campaign=name == enabled)


def _path() -> str:
    path = os.environ.get("CLOSRADS_PARAMETER_PATH", "").rstrip("/")
    if not path.startswith("/"):
        raise ConfigError(["CLOSRADS_PARAMETER_PATH: must be set to the parameters' path, such as /closrads/prod"])
    return path
