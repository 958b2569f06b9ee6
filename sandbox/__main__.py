"""`python -m sandbox`: keep the fakes running, for another shell or for `sam local invoke`."""

import argparse
import json
import shlex
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from sandbox import SCENARIOS, Sandbox
from sandbox.aws import CONTAINER_HOST
from sandbox.bridge import Bridge, bridge_address
from sandbox.mailbox import Mailbox
from sandbox.scenarios import legacy_env

ENV_FILE = Path("build/sandbox-env.json")
SHELL_FILE = Path("build/sandbox.sh")
LEGACY_FILE = Path("build/sandbox.env")


def main() -> None:
    """Start the sandbox, load a scenario, print how to connect, and run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--scenario", default="change day", choices=SCENARIOS, metavar="NAME", help="what to load")
    for service in ("meta", "closrtech", "aws", "mail"):
        parser.add_argument(f"--{service}-port", type=int, default=0, metavar="PORT", help="default: any free port")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ports = {"meta_port": options.meta_port, "closrtech_port": options.closrtech_port, "aws_port": options.aws_port}
    with Sandbox(**ports) as sandbox, Mailbox(lambda: sandbox.aws.mails, options.mail_port) as mailbox:
        sandbox.load(options.scenario)
        _introduce(sandbox, mailbox, options.scenario)
        with ExitStack() as running:
            _let_containers_in(sandbox, running)
            print("\n# running until Ctrl-C", flush=True)
            ended.wait()


def _let_containers_in(sandbox: Sandbox, running: ExitStack) -> None:
    """Listen on Docker's bridge, too, where there is one, and say how a container gets here."""
    address = bridge_address()
    ports = [port for url in (sandbox.meta.url, sandbox.closrtech.url, sandbox.aws.url) if (port := urlsplit(url).port)]
    if address is None:
        print("#   host.docker.internal has to lead to 127.0.0.1 of this machine, as it does with Docker Desktop")
        return
    try:
        running.enter_context(Bridge(address, ports))
    except OSError as error:
        print(f"#   but no container gets here: {address} cannot be listened at ({error.strerror})")
        return
    print(f"#   and with --add-host host.docker.internal:host-gateway, for Docker's bridge has {address} here")
    print("#   (if the function gets no answer, this machine's firewall keeps the container out)")


def _introduce(sandbox: Sandbox, mailbox: Mailbox, scenario: str) -> None:
    ENV_FILE.parent.mkdir(exist_ok=True)
    ENV_FILE.write_text(json.dumps({"Parameters": sandbox.environment(CONTAINER_HOST)}, indent=2) + "\n")
    LEGACY_FILE.write_text(legacy_env(sandbox))
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sandbox.environment().items())
    SHELL_FILE.write_text(exports)
    print(exports)
    print(f"# another shell takes these with: . {SHELL_FILE}")
    print(f"# then, for example: .venv/bin/python -m closrads push-config {LEGACY_FILE}, then doctor")
    print(f"\n# the mails it sends, in a browser: {mailbox.url}")
    print("\n# scenarios, for --scenario, or for make sandbox SCENARIO=:")
    for name, build in SCENARIOS.items():
        print(f"#   {'*' if name == scenario else ' '} {name:<24} {build.__doc__}")
    print(f"\n# for a container: sam local invoke --env-vars {ENV_FILE}")


if __name__ == "__main__":
    main()
