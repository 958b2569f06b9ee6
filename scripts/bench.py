"""Cost of a run at a stated latency, in round trips, points, seconds and memory, compared with a naive implementation.

    python -m scripts.bench

The real handler runs in a separate process against the sandbox over HTTP. The naive implementation makes one call at a
time: for each Meta campaign it lists the ad sets, and for each ad set it reads the ads, updates, re-publishes each ad,
waits three seconds and reads the ads again. It is measured for 30 ad sets; for more, it is calculated from its number
of calls.
"""

import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from sandbox import Sandbox
from sandbox.lambda_runtime import LambdaRuntime, why_not_here
from scripts import damping_bench, hourly_day

ROOT = Path(__file__).resolve().parent.parent
WAIT_SECONDS = 3.0
INITS = 5
OLD, NEW = "FL GA TX", "FL GA OH"

INVOCATION = """
import json, sys, time
import handler
from closrads.clock import Clock
from closrads.meta import rate_limit

if "--limitless" in sys.argv:
    rate_limit.LARGEST = 1_000_000  # the handler itself keeps within Meta's limits, also where nobody enforces them
started = time.perf_counter()
clock = Clock(remaining=lambda: 900 - (time.perf_counter() - started))
result = handler.handle({"dry_run": False}, clock)
seconds = time.perf_counter() - started
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
updated = sum(campaign["adsets_updated"] for campaign in result["campaigns"])
print("MEASURED", json.dumps({**result["graph"], "seconds": seconds, "peak_kb": int(peak), "updated": updated}))
"""


@dataclass(frozen=True)
class Scenario:
    """A business and a day."""

    name: str
    campaigns: tuple[tuple[str, int], ...]
    """For each campaign, its ad account and number of Meta campaigns."""
    adsets: int
    """Ad sets per campaign."""
    ads: int
    """Ads per ad set."""
    latency: float
    """Seconds per round trip."""
    per_item: float
    """Additional seconds per item of a batch."""
    change: bool
    run_naive: bool = False
    limits: bool = True
    """Whether Meta's limits per ad account apply."""

    @property
    def all_adsets(self) -> int:
        """Total number of ad sets."""
        return self.adsets * len(self.campaigns)


THREE = (("act_111", 1), ("act_111", 1), ("act_222", 2))
ONE = (("act_111", 1),)
SCENARIOS = (
    Scenario("quiet day", THREE, 10, 4, 0.15, 0.01, change=False, run_naive=True),
    Scenario("change day", THREE, 10, 4, 0.15, 0.01, change=True, run_naive=True),
    Scenario("100 ad sets change", ONE, 100, 2, 0.05, 0.0, change=True),
    Scenario("1,000 ad sets change", ONE, 1000, 2, 0.05, 0.0, change=True, limits=False),
    Scenario("the same within Meta's limits", ONE, 1000, 2, 0.05, 0.0, change=True),
    Scenario("1,000 ad sets, quiet", ONE, 1000, 2, 0.05, 0.0, change=False),
    Scenario("1,000 ad sets of 50 ads, quiet", ONE, 1000, 50, 0.05, 0.0, change=False),
)


def main() -> None:
    """Print the tables."""
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, Python {platform.python_version()}\n")
    print("| scenario | ad sets | round trips | Graph operations | points | seconds | peak MB | naive implementation |")
    print("|---|---|---|---|---|---|---|---|")
    with Sandbox() as sandbox:
        build(sandbox, SCENARIOS[1])
        measure(sandbox, SCENARIOS[1])  # warms up moto, whose services take a second each at first use
        for scenario in SCENARIOS:
            print(row(sandbox, scenario), flush=True)
        print()
        print_packages(sandbox)
    print()
    hourly_day.main()
    damping_bench.main()


def row(sandbox: Sandbox, scenario: Scenario) -> str:
    """Run a scenario with both implementations, and return its row of the table."""
    build(sandbox, scenario)
    run = measure(sandbox, scenario)
    if run["updated"] != (scenario.all_adsets if scenario.change else 0):
        raise SystemExit(f"{scenario.name}: {run['updated']} ad sets were updated")
    calls, seconds = naive_cost(scenario)
    naive = f"{calls} round trips, {seconds:,.0f} s"
    if scenario.run_naive:
        build(sandbox, scenario)
        calls, seconds = run_naive(sandbox, scenario)
        naive = f"{calls} round trips, {seconds:.1f} s (run)"
    return (
        f"| {scenario.name} | {scenario.all_adsets:,} | {run['round_trips']:,} | {run['operations']:,} | "
        f"{run['points']:,} | {run['seconds']:.2f} | {run['peak_kb'] / 1024:.0f} | {naive} |"
    )


def build(sandbox: Sandbox, scenario: Scenario) -> None:
    """Set up the business of a scenario."""
    sandbox.reset()
    sandbox.aws.verify_sender("reports@example.test")
    parameters: dict[str, str | Iterable[str]] = {
        "closrtech/base_url": sandbox.closrtech.url,
        "closrtech/email": sandbox.closrtech.email,
        "closrtech/password": sandbox.closrtech.password,
        "meta/access_token": sandbox.meta.token,
        "email/sender": "reports@example.test",
        "email/recipients": ["owner@example.test"],
    }
    for number, (account, parts) in enumerate(scenario.campaigns, start=1):
        sandbox.meta.add_account(account, "full" if scenario.limits else None)
        code = f"VND_{number}_LEADS"
        sandbox.closrtech.demand[code] = dict.fromkeys(NEW.split(), 5)
        ids = [sandbox.meta.add_campaign(f"12021000000000{number}{part}00", account) for part in range(1, parts + 1)]
        for adset in range(scenario.adsets):
            states = OLD if scenario.change else NEW
            sandbox.meta.add_adset(ids[adset % parts], f"Ad set {number}/{adset}", states, ads=scenario.ads)
        parameters |= {
            f"campaigns/c{number}/closrtech_campaign": code,
            f"campaigns/c{number}/fb_ad_account_id": account,
            f"campaigns/c{number}/fb_campaign_ids": ids,
        }
    sandbox.aws.put_parameters(parameters)
    sandbox.meta.latency, sandbox.meta.latency_per_item = scenario.latency, scenario.per_item


def measure(sandbox: Sandbox, scenario: Scenario) -> dict[str, Any]:
    """Run the handler in a fresh process, and return its figures."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    environment = kept | sandbox.environment() | {"PYTHONPATH": str(ROOT), "POWERTOOLS_LOG_LEVEL": "ERROR"}
    environment["AWS_LAMBDA_FUNCTION_NAME"] = "closrads"  # as there, clients are made while the function initializes
    options = [] if scenario.limits else ["--limitless"]
    run = subprocess.run(  # noqa: S603 - runs this module
        [sys.executable, "-c", INVOCATION, *options], env=environment, capture_output=True, text=True, check=False
    )
    for line in run.stdout.splitlines():
        if line.startswith("MEASURED"):
            measured: dict[str, Any] = json.loads(line.removeprefix("MEASURED"))
            return measured
    raise SystemExit(run.stdout[-2000:] + run.stderr[-2000:])


def naive_cost(scenario: Scenario) -> tuple[int, float]:
    """Return the round trips and seconds of the naive implementation, calculated from its number of calls."""
    lists = sum(parts * math.ceil(scenario.adsets / parts / 100) for _, parts in scenario.campaigns)
    per_adset = 1 + (scenario.ads + 2) * scenario.change
    calls = lists + per_adset * scenario.all_adsets
    return calls, calls * scenario.latency + WAIT_SECONDS * scenario.all_adsets * scenario.change


def run_naive(sandbox: Sandbox, scenario: Scenario) -> tuple[int, float]:
    """Run the naive implementation; return its round trips and seconds."""
    meta = sandbox.meta
    started, before = time.perf_counter(), meta.round_trips
    with requests.Session() as session:

        def call(method: str, path: str, **params: Any) -> Any:
            params["access_token"] = meta.token
            return session.request(method, f"{meta.url}/{meta.version}/{path}", params=params, timeout=30).json()

        for campaign in list(meta.campaigns):
            fields = "id,targeting"
            for adset in call("GET", f"{campaign}/adsets", fields=fields, limit=100)["data"]:
                ads = call("GET", f"{adset['id']}/ads", fields="id,status,issues_info")["data"]
                if not scenario.change:
                    continue
                targeting = adset["targeting"]
                targeting["geo_locations"]["regions"] = [{"key": "3852"}, {"key": "3853"}, {"key": "3878"}]
                call("POST", adset["id"], targeting=json.dumps(targeting))
                for ad in ads:
                    call("POST", ad["id"], status="ACTIVE")
                time.sleep(WAIT_SECONDS)
                call("GET", f"{adset['id']}/ads", fields="id,status,issues_info")
    return meta.round_trips - before, time.perf_counter() - started


@dataclass(frozen=True)
class Package:
    """Figures of a function's package."""

    megabytes: float
    zipped: float
    """Size in megabytes, zipped."""
    init: float
    """Median duration of the init phase on the real runtime, in seconds."""


def measure_package(folder: Path, environment: Mapping[str, str]) -> Package:
    """Measure the size and the start of a package."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    archive = Path(shutil.make_archive(str(folder), "zip", folder))
    inits = []
    for _ in range(INITS):
        with LambdaRuntime(folder, environment) as runtime:
            answer = runtime.invoke({"dry_run": True, "notify": False})
            if "errorType" in answer:
                raise SystemExit(answer["errorMessage"])
            inits.append(runtime.init_seconds)
    return Package(size / 1e6, archive.stat().st_size / 1e6, statistics.median(inits))


def print_packages(sandbox: Sandbox) -> None:
    """Build our package and one with all dependencies that pip installs by default, and compare them."""
    if why_not := why_not_here():
        print(f"No figures on the package: {why_not}")
        return
    build(sandbox, SCENARIOS[0])
    with tempfile.TemporaryDirectory() as temporary:
        ours, plain = Path(temporary) / "ours", Path(temporary) / "plain"
        subprocess.run(["make", "-s", "build-SyncFunction", f"ARTIFACTS_DIR={ours}"], cwd=ROOT, check=True)  # noqa: S603, S607 - our own target
        install_plainly(plain)
        packages = {
            "as pip installs it": measure_package(plain, sandbox.environment()),
            "ours": measure_package(ours, sandbox.environment()),
        }
    print("| package | MB | MB zipped | seconds of init |")
    print("|---|---|---|---|")
    for name, package in packages.items():
        print(f"| {name} | {package.megabytes:.1f} | {package.zipped:.2f} | {package.init:.2f} |")
    first, second = packages.values()
    print(f"| ratio | {second.megabytes / first.megabytes:.2f} | {second.zipped / first.zipped:.2f} |", end="")
    print(f" {second.init / first.init:.2f} |")


def install_plainly(folder: Path) -> None:
    """Install the direct dependencies with all of theirs, as `sam build` does without a build target."""
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements-demo.txt").read_text(), re.MULTILINE))
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    names = [re.split(r"[^\w-]", dependency)[0] for dependency in groups["function"]]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder)]
    platform_options = ["--only-binary=:all:", "--python-version=3.13", "--platform=manylinux2014_x86_64"]
    subprocess.run([*command, *platform_options, *(f"{name}=={locked[name]}" for name in names)], check=True)  # noqa: S603 - runs pip
    shutil.copy(ROOT / "handler.py", folder)
    for ours in ("closrads", "data"):
        shutil.copytree(ROOT / ours, folder / ours, ignore=shutil.ignore_patterns("__pycache__"))


if __name__ == "__main__":
    main()
