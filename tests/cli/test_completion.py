"""What a shell offers after a TAB, in a real bash."""

import shutil
import sys
from pathlib import Path

import pytest

from closrads.cli import completion
from sandbox import Sandbox
from tests.cli.conftest import Call

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash")


class TestWords:
    """What there is to offer."""

    def test_stages(self) -> None:
        """Those that can be deployed."""
        assert completion.stages("") == ["dev", "prod"]
        assert completion.stages("p") == ["prod"]

    def test_stages_without_their_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """No error in the middle of somebody's typing."""
        monkeypatch.setattr(completion, "ROOT", tmp_path)
        assert completion.stages("") == []
        (tmp_path / "samconfig.toml").write_text(
            "version = 0.1\n[x.deploy.parameters]\nparameter_overrides = ['A=b']\n"
        )
        assert completion.stages("") == []

    def test_events(self) -> None:
        """By their bare names."""
        assert completion.events("re") == ["recheck", "resync-one-campaign"]
        assert set(completion.events("")) == {file.stem for file in (ROOT / "events").iterdir()}

    def test_campaigns(self, business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of the shell's stage, without anything decrypted."""
        assert completion.campaigns("") == ["mortgage", "truckers", "veterans"]
        monkeypatch.delenv("CLOSRADS_PARAMETER_PATH")
        assert completion.campaigns("t") == ["truckers"]
        assert {request.operation for request in business.aws.requests} == {"GetParametersByPath"}

    def test_campaigns_that_cannot_be_read(self, business: Sandbox) -> None:
        """Nothing is offered, and nothing said."""
        business.aws.fail("ssm", "GetParametersByPath", "AccessDeniedException", times=None)
        assert completion.campaigns("") == []


@pytest.mark.parametrize("shell", completion.Shell)
def test_the_text_is_printed(call: Call, shell: completion.Shell) -> None:
    """For each shell its own, with this Python and this folder."""
    text = call("completion", shell).stdout

    assert text == completion.script(shell)
    assert f"PYTHONPATH={ROOT} {sys.executable} -m closrads" in text
    assert completion.VARIABLE in text
