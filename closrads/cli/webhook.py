"""`webhook`: subscribes Meta's app and the ad accounts to pushes, and shows what is subscribed."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import typer

from closrads.cli import environment
from closrads.cli.parameters import read_parameters
from closrads.cli.terminal import FAILED, CommandError, confirm, is_interactive, say, stdout_console, table, waiting
from closrads.domain.pushes import FIELDS
from closrads.domain.settings import Settings
from closrads.errors import ClosradsError, MetaError
from closrads.facebook_client import init_api
from closrads.meta.graph import GraphApi
from closrads.parameters import parse_settings, trimmed
from closrads.redaction import Secret, one_line
from closrads.report.wording.phrases import several
from closrads.webhook import APP_SECRET, VERIFY_TOKEN

APP_TOKEN = "CLOSRADS_APP_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with which scripts provide the app token; it is never stored."""
OBJECT = "ad_account"
MAX_ROWS = 100


@dataclass(frozen=True, slots=True)
class Setup:
    """The parameters of a stage's subscriptions."""

    url: str
    settings: Settings
    verify_token: Secret
    app_id: str
    app_token: Secret

    def of_app(self) -> GraphApi:
        """Return an API object with the app token."""
        return self._api(self.app_token, "")

    def of_accounts(self) -> dict[str, GraphApi]:
        """Return an API object for each ad account of an enabled campaign, with the token of one of its campaigns."""
        campaigns = reversed(self.settings.chosen(None))
        tokens = {campaign.fb_ad_account_id: campaign.fb_access_token for campaign in campaigns}
        return {account: self._api(token, account) for account, token in sorted(tokens.items())}

    def _api(self, token: Secret, account: str) -> GraphApi:
        return init_api(
            token,
            account,
            app_secret=self.settings.app_secret,
            graph_url=self.settings.graph_url,
            clock=environment.clock(),
        )


@dataclass(frozen=True, slots=True)
class State:
    """The state of one subscription."""

    what: str
    """`app`, or an ad account."""
    problem: str
    """Why it does not work; empty if it does."""


def webhook(stage: str, *, subscribes: bool, yes: bool, to_json: bool) -> int:
    """Subscribe, or only show what is subscribed; return the exit status."""
    setup = _setup(stage)
    if subscribes:
        accounts = several(len(setup.of_accounts()), "ad account")
        if not yes and not confirm(f"Have Meta push the changes of {accounts} to {setup.url}?"):
            return FAILED
        with waiting("Subscribing"):
            states = list(_subscribe(setup))
        if not any(state.problem for state in states):
            states = _read(setup)
    else:
        states = _read(setup)
    return _show(setup, states, to_json=to_json)


def _setup(stage: str) -> Setup:
    place = environment.locate_stage(stage)
    with waiting("Reading the stack and the parameters"):
        url = _url(stage)
        there = read_parameters(boto3.client("ssm", config=environment.AWS_CLIENT), place.path)
    with environment.function_environment(place):
        settings = parse_settings(place.path, there, os.environ)
    for name in (VERIFY_TOKEN, APP_SECRET):
        if name not in there:
            raise CommandError(f"{place.path}/{name} is missing: store it with `push-config`; docs/webhook.md")
    app_id, app_token = _app_token()
    if settings.app_secret != Secret(app_token.reveal().partition("|")[2]):
        said = f"The app token has another secret than {place.path}/{APP_SECRET}: each push would be refused"
        raise CommandError(f"{said}. Take both from the same app, and store the secret with `push-config`")
    return Setup(url, settings, Secret(trimmed(there[VERIFY_TOKEN])), app_id, app_token)


def _url(stage: str) -> str:
    name = environment.stack_name(stage)
    client: Any = boto3.client("cloudformation", config=environment.AWS_CLIENT)
    outputs = client.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", ())
    urls: Iterator[str] = (each["OutputValue"] for each in outputs if each["OutputKey"] == "WebhookUrl")
    if url := next(urls, ""):
        return url
    raise CommandError(f"The stack {name} has no webhook: deploy it with Webhook=true; docs/webhook.md")


def _app_token() -> tuple[str, Secret]:
    """Return the app's id and its token, from the environment variable or else from a prompt."""
    text = os.environ.get(APP_TOKEN, "")
    if not text and is_interactive():
        text = typer.prompt("App token: the app's id, |, and the app secret", hide_input=True, err=True)
    if not text:
        raise CommandError(f"This is not a terminal, so set the app token in the variable {APP_TOKEN}")
    token = Secret(text.strip())
    if not (found := re.fullmatch(r"(\d+)\|\S+", token.reveal())):
        raise CommandError(
            "That is not an app token, which is the app's id, |, and the app secret, from “App settings”, “Basic”"
        )
    return found[1], token


def _subscribe(setup: Setup) -> Iterator[State]:
    """Subscribe the app, then each ad account; yield only the failures."""
    params = {
        "object": OBJECT,
        "callback_url": setup.url,
        "fields": ",".join(FIELDS),
        "verify_token": setup.verify_token.reveal(),
        "include_values": "true",
    }
    problem = _problem(lambda: setup.of_app().post(f"{setup.app_id}/subscriptions", params))
    if problem:
        yield State(
            "app", f"{problem}. Meta calls the URL at once: is the stack deployed, and the verify token stored?"
        )
        return
    for account, api in setup.of_accounts().items():
        path = f"{account}/subscribed_apps"
        if problem := _problem(lambda api=api, path=path: api.post(path, {"app_id": setup.app_id})):  # type: ignore[misc]
            yield State(account, problem)


def _problem(call: Callable[[], object]) -> str:
    try:
        call()
    except MetaError as error:
        return str(error)
    return ""


def _read(setup: Setup) -> list[State]:
    with waiting("Asking Meta"):
        return [
            State("app", _problem_of_app(setup)),
            *(State(account, _problem_of_account(setup, api)) for account, api in setup.of_accounts().items()),
        ]


def _problem_of_app(setup: Setup) -> str:
    try:
        rows = setup.of_app().get_all(f"{setup.app_id}/subscriptions", {}, MAX_ROWS)
    except ClosradsError as error:
        return str(error)
    row = next((row for row in rows if row.get("object") == OBJECT), None)
    if row is None:
        return "is not subscribed"
    if row.get("callback_url") != setup.url:
        return f"pushes to another URL: {one_line(str(row.get('callback_url')))}"
    if not row.get("active", True):
        return "is not active"
    names = {_name(field) for field in row.get("fields", ())}
    missing = [name for name in FIELDS if name not in names]
    return f"lacks the fields {', '.join(missing)}" if missing else ""


def _name(field: Any) -> str:
    """Return a field's name; Meta lists names, or objects with a name and a version."""
    return str(field.get("name")) if isinstance(field, Mapping) else str(field)


def _problem_of_account(setup: Setup, api: GraphApi) -> str:
    try:
        rows = api.get_all(f"{api.ad_account_id}/subscribed_apps", {}, MAX_ROWS)
    except ClosradsError as error:
        return str(error)
    return "" if any(str(row.get("id")) == setup.app_id for row in rows) else "is not subscribed"


def _show(setup: Setup, states: list[State], *, to_json: bool) -> int:
    healthy = not any(state.problem for state in states)
    if to_json:
        problems = {state.what: state.problem for state in states}
        print(json.dumps({"url": setup.url, "app_id": setup.app_id, "ok": healthy, "problems": problems}))  # noqa: T201 - for machines
    else:
        out = stdout_console()
        out.print(f"Meta pushes to {setup.url}", style="bold")
        rows = table("", "")
        for state in states:
            rows.add_row(state.what, state.problem or "is subscribed")
        out.print(rows)
    if not healthy:
        say("Subscribe the rest with `webhook subscribe`; docs/webhook.md", style="red")
    return 0 if healthy else FAILED
