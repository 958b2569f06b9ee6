"""`make demo`: five days of the daily job, with the real handler and nothing outside this machine."""

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from sandbox import Sandbox
from sandbox.aws import PUSH_QUEUE, PUSH_QUEUE_PROPERTIES
from sandbox.event_source import EventSource
from sandbox.function_url import FunctionUrl, deliver_to
from sandbox.meta import Breakage
from sandbox.meta.webhooks import Webhooks
from sandbox.server import Server

OUTPUT = Path("build/demo")
LIVE = {"dry_run": False}
LATE = 1200.0
"""Seconds after its update at which Meta breaks an ad."""
APP_SECRET = "fake-app-secret-of-the-demo"
MOST_SECONDS = 60.0
PUSHED = "Put back within seconds: twenty minutes later Meta breaks the ad, and pushes a notice"


def main() -> None:
    """Run the days and print the outcome of each."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for terminals that cannot display the arrows
    OUTPUT.mkdir(parents=True, exist_ok=True)
    log_file = OUTPUT / "log.jsonl"
    say("Starting stand-ins for Meta, CLOSRTECH and AWS on this machine …")
    later = 0.0  # by how much the time at Meta is ahead of ours
    with Sandbox(lambda: time.time() + later) as sandbox, log_file.open("w", encoding="utf-8") as log:
        for name in Sandbox.foreign_variables(os.environ):
            del os.environ[name]
        os.environ.update(sandbox.environment())
        with redirect_stdout(log):
            handler = importlib.import_module("handler")  # its logger writes to the current standard output

        def day(number: int, title: str, event: dict[str, Any]) -> None:
            say(f"\n{number}. {title}\n   event: {json.dumps(event)}")
            before = {adset_id: sandbox.meta.states(adset_id) for adset_id in sandbox.meta.adsets}
            started, calls = time.monotonic(), sandbox.meta.round_trips
            context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
            with redirect_stdout(log):
                answer = handler.lambda_handler(event, context)
            print_result(answer)
            print_state_of_meta(sandbox, before)
            keep_mail(sandbox, number, title)
            say(f"   took {time.monotonic() - started:.1f} s and {sandbox.meta.round_trips - calls} calls to Meta")

        sandbox.load("change day")
        day(1, "A dry run: what would change", {})
        day(2, "The live run: every ad set updated, re-published and verified", LIVE)
        day(3, "A second live run: nothing to do", LIVE)
        sandbox.load("trouble")
        day(4, "A day with trouble: an ad broken before, an ad that breaks after its update", LIVE)

        sandbox.load("change day")
        adset = next(each for each in sandbox.meta.adsets.values() if each.name == "First Home - Renters")
        adset.ads[2].breakage = Breakage.late(LATE)
        states = sandbox.meta.states(adset.id)
        day(5, "An ad that breaks late: at the end of the run all is well", LIVE)
        say(f"\n6. {PUSHED}")
        before = {adset_id: sandbox.meta.states(adset_id) for adset_id in sandbox.meta.adsets}
        with receiving(sandbox, adset.account.id, log) as (pushes, queue):
            later = LATE
            print_state_of_meta(sandbox, before)
            started = time.monotonic()
            with redirect_stdout(log):
                pushes.run()
                queue.poll(lambda event: handler.lambda_handler(event, None), MOST_SECONDS)
            took = time.monotonic() - started
        print_state_of_meta(sandbox, before)
        restored = "has its states of the day before" if sandbox.meta.states(adset.id) == states else "was not put back"
        say(f"   {adset.name} {restored}, {took:.0f} s after Meta's notice")
        keep_mail(sandbox, 6, PUSHED)
    say("\nOpen the mails in a browser; beside each lies its text part.")
    say(f"The job's own log, one JSON object a line: {log_file}")


def keep_mail(sandbox: Sandbox, number: int, title: str) -> None:
    """Write the latest mail to files, and print where they are."""
    mail = sandbox.aws.mails[-1]
    page = OUTPUT / f"{number}-{title.split(':', maxsplit=1)[0].lower().replace(' ', '-')}.html"
    page.write_text(mail.html, encoding="utf-8")
    page.with_suffix(".txt").write_text(mail.text, encoding="utf-8")
    say(f"   mail:  {mail.subject}\n          {page}")


@contextmanager
def receiving(sandbox: Sandbox, account: str, log: TextIO) -> Iterator[tuple[Webhooks, EventSource]]:
    """Have Meta push an ad account's changes, over HTTP, to the receiver; return both ends of the way."""
    sandbox.aws.put_parameters({"meta/app_secret": APP_SECRET, "meta/webhook_verify_token": "fake-verify-token"})
    queue = EventSource(sandbox.aws.client("sqs"), PUSH_QUEUE, PUSH_QUEUE_PROPERTIES)
    with redirect_stdout(log):
        webhook = importlib.import_module("closrads.webhook")
    receiver = Server(FunctionUrl(lambda event: webhook.lambda_handler(event, None)))
    receiver.start()
    pushes = Webhooks(sandbox.meta, deliver_to(receiver.url), APP_SECRET)
    pushes.subscribe(account)
    yield pushes, queue
    receiver.stop()


def print_result(answer: dict[str, Any]) -> None:
    """Print what the run reports about each ad set."""
    for campaign in answer["campaigns"]:
        say(f"   {campaign['campaign_name']}")
        for adset in campaign["adsets"]:
            states = [f"+{code}" for code in adset["added"]] + [f"−{code}" for code in adset["removed"]]
            word = adset["result"].replace("_", " ")
            word = "would be updated" if answer["dry_run"] and word == "updated" else word
            say(f"     {adset['name']:<26} {word:<18} {' '.join(states)}".rstrip())
            for issue in adset["issues"]:
                say(f"       · {issue}")


def print_state_of_meta(sandbox: Sandbox, before: dict[str, set[str]]) -> None:
    """Print the actual state at Meta, independently of what the run reports."""
    changed = sum(sandbox.meta.states(adset_id) != states for adset_id, states in before.items())
    broken = [ad.name for ad in sandbox.meta.ads.values() if ad.effective_status != "ACTIVE"]
    ads = f"not active: {', '.join(broken)}" if broken else "all ads active"
    say(f"   at Meta now: {changed} of {len(before)} ad sets have other states than before, {ads}")


def say(text: str) -> None:
    """Print and flush, so that progress is visible."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
