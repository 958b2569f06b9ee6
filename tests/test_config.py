"""Environment and Parameter Store → settings, over moto's real SSM."""

from typing import Any

import pytest

from closrads.config import load_settings
from closrads.domain.settings import EmailConfig, Limits, Settings
from closrads.errors import ConfigError, ConfigUnavailableError
from closrads.redaction import Secret
from sandbox import Sandbox
from tests.test_parameters import FULL


def settings(sandbox: Sandbox, changes: dict[str, Any] | None = None) -> Settings:
    """Put the full set of parameters with some changes (None leaves one out) and load the settings."""
    values = {name: value for name, value in (FULL | (changes or {})).items() if value is not None}
    sandbox.aws.put_parameters(values)
    return load_settings()


def problems(sandbox: Sandbox, changes: dict[str, Any] | None = None) -> str:
    """Return what loading complains about."""
    with pytest.raises(ConfigError) as caught:
        settings(sandbox, changes)
    return str(caught.value)


def test_reads_every_parameter_of_every_page(sandbox: Sandbox) -> None:
    """All parameters arrive although SSM hands out ten a page, lists as lists and numbers as numbers."""
    loaded = settings(sandbox)

    assert (loaded.stage, loaded.timezone.key, loaded.dry_run) == ("sandbox", "America/New_York", True)
    assert loaded.closrtech.base_url == "https://feed.example.test/api"
    assert loaded.closrtech.password == Secret("FAKE-password")
    assert loaded.app_secret == Secret("fakesecret")
    owner, buyer = "owner@example.test", "buyer@example.test"
    assert loaded.email == EmailConfig("reports@example.test", (owner, buyer), "media@example.test")
    mortgage, veterans = loaded.campaigns
    assert (mortgage.slug, mortgage.name, mortgage.enabled) == ("home-loans", "Mortgage", True)
    assert mortgage.fb_campaign_ids == ("902", "903")
    assert mortgage.fb_access_token == Secret("EAAFAKEOWN")
    assert veterans.name == "Veterans"
    assert veterans.fb_access_token == Secret("EAAFAKESHARED")
    assert veterans.limits == Limits(60, 5, 0.5, 40, 7, 2, 1)
    assert mortgage.limits == Limits(50, 5, 0.5, 40, 7, 2, 0)


def test_reads_the_parameters_with_one_decrypting_call_by_path(sandbox: Sandbox) -> None:
    """One paged read is all that the function's policy has to allow."""
    settings(sandbox)

    assert {request.operation for request in sandbox.aws.requests} == {"GetParametersByPath"}


def test_the_path_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path nothing can be looked up."""
    monkeypatch.delenv("CLOSRADS_PARAMETER_PATH", raising=False)

    with pytest.raises(ConfigError, match="CLOSRADS_PARAMETER_PATH: must be set"):
        load_settings()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_refusing_parameter_store_is_an_error_of_its_own(sandbox: Sandbox, code: str) -> None:
    """It says which path could not be read, and a workflow tells it from settings that are wrong, and tries again."""
    sandbox.aws.fail("ssm", "GetParametersByPath", code, 400, 1)

    with pytest.raises(
        ConfigUnavailableError, match=f"/closrads/sandbox: the Parameter Store cannot be read: .*{code}"
    ):
        load_settings()


def test_settings_are_remembered_for_a_warm_container_but_mistakes_are_not(sandbox: Sandbox) -> None:
    """A second run within five minutes reads nothing; a repaired parameter counts at once."""
    problems(sandbox, {"meta/access_token": None})
    sandbox.aws.put_parameters({"meta/access_token": "EAAFAKESHARED"})
    load_settings()
    reads = len(sandbox.aws.requests)
    load_settings()

    assert len(sandbox.aws.requests) == reads
