"""Whether the deployed function has the code that is here."""

import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from closrads.cli.completion import ROOT
from closrads.cli.doctor import deployed_code
from sandbox import Sandbox
from sandbox.in_process import InProcessSandbox, InProcessServer
from sandbox.server import HttpRequest, Reply, Server
from tests.cli.conftest import Call
from tests.cli.doctor.cases import found
from tests.fake_time import FakeTime

PORT = 899
SIGNED = f"http://127.0.0.1:{PORT}/package?X-Amz-Security-Token=SECRET"


def package(change: Callable[[Path], object], folder: Path) -> bytes:
    """Return a package as the Makefile makes it, with a change of its files; libraries come first."""
    shutil.copy(ROOT / "handler.py", folder)
    shutil.copytree(ROOT / "data", folder / "data")
    shutil.copytree(ROOT / "closrads", folder / "closrads", ignore=shutil.ignore_patterns("cli", "__main__.py"))
    (folder / "closrads/sync.pyc").write_bytes(b"byte-code")
    change(folder)
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as into:
        into.writestr("boto/library.py", bytes(range(256)) * 50)
        into.mkdir("closrads")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                into.write(path, path.relative_to(folder))
    return packed.getvalue()


Serve = Callable[[Reply], None]


@pytest.fixture
def serve(business: Sandbox, running_sandbox: InProcessSandbox, fake_time: FakeTime) -> Serve:
    """Return what deploys a stack whose function's package is fetched with a reply, of which the end is asked for."""

    def answer_with(reply: Reply) -> None:
        def answer(request: HttpRequest) -> Reply:
            end = int(request.headers["Range"].removeprefix("bytes=-"))
            return Reply(reply.status, (reply.body or b"")[-end:], "application/zip", delivery=reply.delivery)

        server = InProcessServer(Server(answer, PORT, fake_time.seconds), PORT, fake_time.wait)
        running_sandbox._servers.append(server)
        function = {"Type": "AWS::Lambda::Function", "Properties": {"Code": SIGNED}}
        template = {"Parameters": {}, "Resources": {"SyncFunction": function}, "Outputs": {}}
        client = business.aws.client("cloudformation")
        client.create_stack(StackName="closrads-sandbox", TemplateBody=json.dumps(template))

    return answer_with


def test_the_same_code(call: Call, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte-code, libraries and commands are not compared, and the end of the package is enough to tell."""
    whole = package(lambda _: None, tmp_path)
    monkeypatch.setattr(deployed_code, "DIRECTORY_BYTES", 20_000)
    assert len(whole) > 2 * 20_000
    serve(Reply(206, whole))

    assert found(call)[1]["deployed code"] == {
        "check": "deployed code", "verdict": "ok", "said": "of 2026-05-01 is the code in this folder", "remedy": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "closrads/sync.py").write_text("old"), "closrads/sync.py"),
        (lambda folder: (folder / "handler.py").unlink(), "handler.py"),
        (lambda folder: (folder / "data/old.json").write_text("{}"), "data/old.json"),
    ],
    ids=["changed", "new here", "gone here"],
)
def test_other_code(call: Call, serve: Serve, tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    """What was pulled but not deployed is no repair yet."""
    serve(Reply(200, package(change, tmp_path)))

    status, findings = found(call)

    assert (status, findings["deployed code"]["verdict"]) == (0, "warning")
    assert findings["deployed code"]["said"] == f"of 2026-05-01 differs from this folder in {said}"
    assert "deploy this folder" in findings["deployed code"]["remedy"]


@pytest.mark.parametrize(
    ("reply", "error"), [(Reply(403, b"<Error/>"), "HTTPError"), (Reply(206, b"not a package"), "BadZipFile")]
)
def test_a_package_that_cannot_be_read(call: Call, serve: Serve, reply: Reply, error: str) -> None:
    """The address, which is a key, is not shown."""
    serve(reply)

    finding = found(call)[1]["deployed code"]

    assert (finding["verdict"], "SECRET" in str(finding)) == ("warning", False)
    assert finding["said"] == f"not checked: the package cannot be read ({error})"


def test_without_the_right(call: Call, business: Sandbox, serve: Serve) -> None:
    """The line says which it is."""
    serve(Reply(404))
    business.aws.fail("lambda", "GetFunction", "AccessDeniedException", 403)

    finding = found(call)[1]["deployed code"]

    assert (finding["verdict"], "lambda:GetFunction" in finding["remedy"]) == ("warning", True)
