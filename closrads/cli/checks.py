"""What a run needs, checked piece by piece. Each check only reads, and one never stops another."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parseaddr, parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from closrads.cli.environment import NOT_ALLOWED, Place
from closrads.cli.regions import differences, meta_regions
from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.config import META_GRAPH_URL, is_safe_address, parse_settings
from closrads.domain.settings import CampaignConfig, Settings
from closrads.errors import (
    ClosradsError,
    ClosrtechAccessError,
    ClosrtechDataError,
    ConfigError,
    MetaAccessError,
    MetaError,
    MetaInvalidError,
)
from closrads.facebook_client import init_api
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import API_VERSION, GraphApi, Operation, has_id
from closrads.redaction import Secret, one_line
from closrads.state_mapper import REGION_FILE, is_state
from closrads.sync import LEASE_MARGIN

PUSH = "put the right one with `push-config`"
RELEASED: Mapping[str, date] = {"v26.0": date(2026, 7, 29)}
"""Versions of the Marketing API. The end of this one is not announced."""
OLD_AFTER = timedelta(days=300)
"""v21.0 to v24.0 of the Marketing API ended 11 to 13 months after their release (its changelog)."""
TASKS = frozenset({"ADVERTISE", "MANAGE"})
"""Either lets the owner of a token change ad sets (Marketing API reference "Ad Account")."""
ACTIVE_ACCOUNT = 1
SHARED_TOKEN = "meta/access_token"  # noqa: S105 - its name
GRAPH_URL = "CLOSRADS_GRAPH_URL"
TOKEN_DEAD, VERSION_GONE = 190, 2635
"""Marketing API "Error Codes"."""
BEHIND_TOKEN = "not checked: Meta does not accept the token"  # noqa: S105 - no token
MAX_NAMES = 3
"""That are given of several parameters or checks."""

_MISSING = "?"
_STANDINS = {
    "closrtech/base_url": "https://closrtech.invalid",
    "closrtech/email": _MISSING,
    "closrtech/password": _MISSING,
    "meta/access_token": _MISSING,
}
"""For what is missing, so that the rest can be checked."""


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Runs go on, or it could not be checked."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what is to be done about it."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], Iterator[Finding]]
    needed_right: str = ""
    """What the operator must be allowed at AWS to look."""


Clients = Mapping[str, Any]


def ok(check: str, said: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check, Verdict.OK, said)


def warning(check: str, said: str, remedy: str = "") -> Finding:
    """Return that something should be known, or could not be checked."""
    return Finding(check, Verdict.WARNING, said, remedy)


def failed(check: str, said: str, remedy: str) -> Finding:
    """Return that a run would fail, or soon will."""
    return Finding(check, Verdict.FAILED, said, remedy)


def findings_of(check: Check) -> list[Finding]:
    """Carry a check out; what keeps it from being made is a finding too."""
    try:
        return list(check.look())
    except Exception as error:  # noqa: BLE001 - what happens to one check must not hide what the others find
        return [_hindrance(check, error)]


def _hindrance(check: Check, error: Exception) -> Finding:
    """Return what kept a check from being made."""
    said = one_line(str(error))
    match error:
        case ClientError() if (code := error.response["Error"]["Code"]) in NOT_ALLOWED:
            remedy = f"have {check.needed_right} allowed to you"
            return warning(check.name, f"not checked: you have no right to it ({code})", remedy)
        case ClientError() | BotoCoreError():
            remedy = "check the credentials and the Region of this shell (AWS_PROFILE, AWS_REGION), and the network"
            what = "AWS refuses" if isinstance(error, ClientError) else "AWS cannot be asked"
            return failed(check.name, f"{what}: {said}", remedy)
        case MetaError() if error.code == TOKEN_DEAD:
            return failed(check.name, BEHIND_TOKEN, "see to the token first")
        case MetaAccessError():
            return failed(check.name, said, "see to the token and its rights")
        case ClosradsError():
            return failed(check.name, said, "look at the reason; try again in some minutes")
    said = one_line(f"not checked: unexpected {type(error).__name__}: {error}")
    return warning(check.name, said, "this is a defect of `doctor`; all else is checked")


def folded(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with one for all that a dead token keeps from being checked."""
    behind = [finding for finding in findings if finding.said == BEHIND_TOKEN]
    if not behind:
        return list(findings)
    told = any(each.check.startswith("token ") and each.verdict is Verdict.FAILED for each in findings)
    names = named([finding.check for finding in behind])
    one = Finding(names, Verdict.WARNING if told else Verdict.FAILED, BEHIND_TOKEN, behind[0].remedy)
    return [one if finding is behind[0] else finding for finding in findings if finding not in behind[1:]]


def named(names: Sequence[str]) -> str:
    """Return the first of several names, and how many there are more."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


# --- parameters


@dataclass(slots=True)
class Known:
    """What the parameters say, as far as they say something."""

    settings: Settings | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    """Groups with missing parameters for which something else stands: closrtech, meta."""


def check_parameters(place: Place, read: Callable[[], Mapping[str, str]], known: Known) -> Iterator[Finding]:
    """Read the settings as the function does, and beyond the first mistakes what is still right."""
    name, values = "parameters", read()
    if not values:
        yield failed(name, f"there are none below {place.path}", "check --stage and the Region, then `push-config`")
        return
    known.values = values
    try:
        known.settings = parse_settings(place.path, values, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            full, _, said = problem.partition(": ")
            what = full.removeprefix(f"{place.path}/")
            yield failed(what, said, _remedy_for(what, said, place.path))
        known.settings, known.broken = _as_far_as_right(place.path, values, error.problems)
        return
    enabled = [campaign.slug for campaign in known.settings.campaigns if campaign.enabled]
    off = [campaign.slug for campaign in known.settings.campaigns if not campaign.enabled]
    said = f"{len(values)} below {place.path}; campaigns: {', '.join(enabled) or 'none'}"
    if off:
        said += f"; switched off: {', '.join(off)}"
    if enabled:
        yield ok(name, said)
    else:
        yield warning(name, f"{said}: a run does nothing", "set a campaign's `enabled` to true")


def _as_far_as_right(
    path: str, values: Mapping[str, str], problems: Sequence[str]
) -> tuple[Settings | None, frozenset[str]]:
    """Return the settings without what the problems are about, and what is missing in them."""
    blamed = {problem.partition(": ")[0].removeprefix(f"{path}/") for problem in problems}
    dropped = tuple(f"{_dropped_with(name)}/" for name in blamed)
    right = {name: value for name, value in values.items() if not f"{name}/".startswith(dropped)}
    standins = {name: value for name, value in _STANDINS.items() if name in blamed}
    broken = frozenset(name.split("/")[0] for name in standins)
    variables = {name: value for name, value in os.environ.items() if name not in blamed}
    try:
        return parse_settings(path, {**standins, **right}, variables), broken
    except ConfigError:
        return None, broken


def _dropped_with(name: str) -> str:
    """Return what cannot be used without a parameter: its whole campaign, the whole mail, else itself."""
    parts = name.split("/")
    return "/".join(parts[: {"campaigns": 2, "email": 1}.get(parts[0], len(parts))])


def _remedy_for(name: str, said: str, path: str) -> str:
    if name.startswith("CLOSRADS_") or name == "DRY_RUN":
        return "correct or unset this variable of your shell"
    if "is not a parameter" in said:
        return f"delete it: aws ssm delete-parameter --name {path}/{name}"
    return PUSH


# --- CLOSRTECH


def check_feed(campaign: CampaignConfig, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Ask for a campaign's demand as a run does, but once."""
    name = f"CLOSRTECH: {campaign.slug}"
    try:
        demand = get_demand(campaign.closrtech_campaign, login=settings.closrtech, clock=clock)
    except ClosrtechDataError as error:
        yield failed(name, str(error), "ask CLOSRTECH; until then runs leave this campaign as it is")
    except ClosrtechAccessError as error:
        yield failed(name, str(error), "correct what it names with `push-config`")
    except ClosradsError as error:
        yield failed(name, str(error), "check closrtech/base_url; if it is right, ask CLOSRTECH")
    else:
        strangers = [code for code in demand if not is_state(code)]
        said = f"{len(demand) - len(strangers)} states with demand"
        if strangers:
            yield warning(name, f"{said}; unknown: {', '.join(strangers)}", "runs leave these out: ask CLOSRTECH")
        else:
            yield ok(name, said)


# --- Meta


def check_token(name: str, token: Secret, api: GraphApi, now: datetime) -> Iterator[Finding]:
    """Have Meta say what it knows of a token (Graph API "debug_token")."""
    remedy = (
        "generate one that never expires, of a system user of the business, with ads_management, then `push-config`"
    )
    try:
        answer = api.get_once(
            "debug_token", {"input_token": token.reveal()}, lambda found: isinstance(found.get("data"), dict)
        )
    except (MetaAccessError, MetaInvalidError) as error:
        if error.code == TOKEN_DEAD:
            yield failed(name, str(error), remedy)
        else:  # not every app lets its tokens ask about themselves
            yield warning(name, f"not checked: {error}", "look at it in Meta's Access Token Debugger")
        return
    data = answer["data"]
    if data.get("is_valid") is not True:
        reason = (data.get("error") or {}).get("message", "no reason given")
        yield failed(name, one_line(f"is not valid: {reason}"), remedy)
        return
    problems = list(_token_problems(data, now))
    for said in problems:
        yield failed(name, said, remedy)
    if data.get("type") is None:
        yield warning(name, "Meta does not say whose it is", "look at it in Meta's Access Token Debugger")
    elif not problems:
        yield ok(name, "valid, of a system user, never expires")


def _token_problems(data: JsonObject, now: datetime) -> Iterator[str]:
    kind = data.get("type")
    if kind not in {None, "SYSTEM_USER"}:
        whose = "a person: it dies with that person's login" if kind == "USER" else one_line(f"no system user: {kind}")
        yield f"is of {whose}"
    ends = [moment for moment in (data.get("expires_at"), data.get("data_access_expires_at")) if moment]
    if ends:
        end = datetime.fromtimestamp(min(ends), UTC)
        yield f"expires on {end:%Y-%m-%d}, in {(end - now).days} days: then no campaign of it is updated any more"
    if "ads_management" not in data.get("scopes", ["ads_management"]):
        yield "lacks the permission ads_management, so it can only look"


def check_account(account: str, api: GraphApi) -> Iterator[Finding]:
    """Tell whether the owner of the token may change the ads of an ad account."""
    name = f"ad account {account}"
    found = api.get_once(account, {"fields": "id,name,account_status,user_tasks"}, has_id)
    tasks, title = found.get("user_tasks"), one_line(str(found.get("name")))
    if not isinstance(tasks, list):
        yield warning(
            name, f"{title}: Meta does not say what the token may do", "look at the system user's assets by hand"
        )
    elif TASKS.isdisjoint(tasks):
        may = one_line(", ".join(map(str, tasks))) or "nothing"
        remedy = "in Business Settings, System users, assign the ad account with “Manage campaigns”"
        yield failed(name, f"{title}: the token may not change ads (it may: {may})", remedy)
    else:
        yield ok(name, f"{title}: the token may change its ads")
    if (status := found.get("account_status")) != ACTIVE_ACCOUNT:
        yield warning(name, f"Meta says it is not active (status {status})", "look at it in Ads Manager, Billing")


def check_meta_campaigns(account: str, campaigns: Sequence[CampaignConfig], api: GraphApi) -> Iterator[Finding]:
    """Look at the Meta campaigns of an ad account, all at once."""
    owners = {meta_id: campaign.slug for campaign in campaigns for meta_id in campaign.fb_campaign_ids}
    query = {"fields": "id,name,account_id,effective_status"}
    answers = api.batch([Operation("GET", meta_id, query, has_id) for meta_id in owners], reserve=math.inf)
    for (meta_id, slug), answer in zip(owners.items(), answers, strict=True):
        name = f"Meta campaign {meta_id}"
        parameter = f"campaigns/{slug}/fb_campaign_ids"
        if isinstance(answer, MetaError):
            if answer.code == TOKEN_DEAD:
                raise answer
            yield failed(name, f"of {slug}: {answer}", f"correct {parameter}, or let the token's owner see it")
            continue
        title, status = one_line(str(answer.get("name"))), one_line(str(answer.get("effective_status")))
        if f"act_{answer.get('account_id')}" != account:
            said = f"of {slug}: “{title}” belongs to act_{answer.get('account_id')}, not to {account}"
            yield failed(name, one_line(said), f"correct {parameter} or campaigns/{slug}/fb_ad_account_id")
        elif status in {"ARCHIVED", "DELETED"}:
            yield failed(name, f"of {slug}: “{title}” is {status.lower()}", f"take it out of {parameter}")
        elif status == "ACTIVE":
            yield ok(name, f"of {slug}: “{title}”")
        else:
            yield warning(
                name,
                f"of {slug}: “{title}” is {status.lower()}",
                "its ad sets are not active, so runs leave them alone",
            )


def check_regions(api: GraphApi) -> Iterator[Finding]:
    """Compare our table of regions with Meta's search."""
    theirs, _ = meta_regions(api, reserve=math.inf)
    if lines := differences(json.loads(REGION_FILE.read_text(encoding="utf-8")), theirs):
        more = f" and {len(lines) - 1} more" if lines[1:] else ""
        yield failed("regions", f"{lines[0]}{more}", "`python -m scripts.check_regions --write`, review, deploy")
    else:
        yield ok("regions", f"all {len(theirs)} are as Meta has them")


def check_version(account: str, api: GraphApi, today: date) -> Iterator[Finding]:
    """Say how long the version of Meta's API may still live.

    Meta tells only when the end has come, by a header. Before, the age is all there is to go by.
    """
    name = f"Graph API {API_VERSION}"
    remedy = "read Meta's changelog, update facebook-business and API_VERSION in closrads/graph_api.py, test, deploy"
    try:
        api.get_once(account, {"fields": "id"}, has_id)
    except MetaError as error:
        if error.code == VERSION_GONE:
            yield failed(name, str(error), remedy)
            return
    if api.version_warning:
        yield failed(name, f"Meta warns: {api.version_warning}", remedy)
        return
    age = today - RELEASED[API_VERSION]
    said = f"released {RELEASED[API_VERSION]}, no warning from Meta"
    if age > OLD_AFTER:
        yield warning(name, f"{said}; but {age.days} days old, and versions have ended after 11 to 13 months", remedy)
    else:
        yield ok(name, said)


# --- SES


def check_account_of_ses(clients: Clients) -> Iterator[Finding]:
    """Tell whether SES lets mail go to anybody."""
    name = "SES account"
    account = clients["sesv2"].get_account()
    region = clients["sesv2"].meta.region_name
    if not account.get("ProductionAccessEnabled"):
        yield failed(
            name,
            f"is in the SES sandbox in {region}: mail goes to verified addresses only",
            "request production access in the SES console",
        )
    elif not account.get("SendingEnabled"):
        yield failed(
            name,
            f"may not send in {region} ({account.get('EnforcementStatus')})",
            "look at the account's reputation in the SES console",
        )
    else:
        yield ok(name, f"out of the sandbox in {region}")


def check_sender(sender: str, clients: Clients) -> Iterator[Finding]:
    """Tell whether the sender's address, or a domain that it is of, is verified and can send."""
    name = "SES sender"
    address = parseaddr(sender)[1]
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    candidates = [address, *(".".join(labels[index:]) for index in range(len(labels) - 1))]
    state = "is no identity of SES here"
    for identity in candidates:
        found = _identity(identity, clients)
        if found and found.get("VerifiedForSendingStatus"):
            yield ok(name, f"{address} is verified" + ("" if identity == address else f", by {identity}"))
            if chosen := found.get("ConfigurationSetName"):
                yield from _configuration_set(chosen, identity, clients)
            return
        if found:
            state = "is not verified yet"
    yield failed(name, f"{address} {state}", f"verify it, or {domain}, in the SES console of this Region")


def _identity(identity: str, clients: Clients) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = clients["sesv2"].get_email_identity(EmailIdentity=identity)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return None
    return found


def _configuration_set(chosen: str, identity: str, clients: Clients) -> Iterator[Finding]:
    name = f"configuration set {chosen}"
    remedy = f"create it, or take it off the identity {identity}, in the SES console"
    try:
        found = clients["sesv2"].get_configuration_set(ConfigurationSetName=chosen)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        yield failed(name, f"is the default of {identity} and does not exist: SES refuses every mail", remedy)
        return
    if found.get("SendingOptions", {}).get("SendingEnabled", True):
        yield ok(name, f"exists (the default of {identity})")
    else:
        yield failed(name, f"is the default of {identity} and may not send", "enable its sending in the SES console")


# --- ledger


def check_ledger(place: Place, clients: Clients) -> Iterator[Finding]:
    """Tell whether the ledger is there and can be read in the ways a run reads it."""
    name = f"ledger {place.table}".strip()
    if not place.table:
        how = warning if place.forbidden else failed
        yield how(name, one_line(place.why_no_table), "deploy the stack: README, “Deploy”")
        return
    try:
        table = clients["dynamodb"].describe_table(TableName=place.table)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield failed(name, "does not exist", "check the Region; deploy the stack: README, “Deploy”")
        return
    indexes = {index["IndexName"] for index in table.get("LocalSecondaryIndexes", ())}
    if table["TableStatus"] not in {"ACTIVE", "UPDATING"} or "open" not in indexes:
        said = f"is {table['TableStatus'].lower()}" + ("" if "open" in indexes else ", without the index `open`")
        yield failed(name, said, "deploy the stack anew: README, “Deploy”")
        return
    clients["dynamodb"].query(
        TableName=place.table,
        IndexName="open",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "CAMPAIGN#"}},
        ConsistentRead=True,
        Limit=1,
    )
    yield ok(name, f"can be read; about {table.get('ItemCount', 0)} items")


def check_backup(place: Place, clients: Clients) -> Iterator[Finding]:
    """Tell whether the ledger can be brought back to how it was at a point in time."""
    name = "ledger backup"
    try:
        answer = clients["dynamodb"].describe_continuous_backups(TableName=place.table)
    except ClientError as error:
        if error.response["Error"]["Code"] != "TableNotFoundException":
            raise
        yield warning(name, "not checked: no table", "see to the ledger first")
        return
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        yield ok(name, "point-in-time recovery is on")
    else:
        yield failed(
            name, "point-in-time recovery is off", "deploy the stack anew, or switch it on in the DynamoDB console"
        )


# --- clock


def check_clock(url: str, clock: Clock) -> Iterator[Finding]:
    """Compare this machine's clock with the date of an answer of Meta's: leases and signatures go by it."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{url}/", timeout=5, allow_redirects=False, stream=True)
            date_there = parsedate_to_datetime(answer.headers["Date"])
        except (requests.RequestException, LookupError, ValueError) as error:
            said = f"not checked: no answer with a date from Meta ({type(error).__name__})"
            yield warning("clock", said, "look at the network, or compare the clock by hand")
            return
    off = round((clock.now() - date_there).total_seconds())
    if abs(off) > LEASE_MARGIN.total_seconds():
        way = "ahead of" if off > 0 else "behind"
        remedy = "let this machine keep its time by NTP, and run nothing from it before"
        yield failed("clock", f"this machine is {abs(off)} s {way} Meta", remedy)
    else:
        yield ok("clock", f"as Meta's, to {abs(off)} s")


# --- all of them


def api_for(campaign: CampaignConfig, settings: Settings, clock: Clock) -> GraphApi:
    """Return an api object for one check."""
    return init_api(
        campaign.fb_access_token,
        campaign.fb_ad_account_id,
        app_secret=settings.app_secret,
        graph_url=settings.graph_url,
        clock=clock,
    )


def checks_of(place: Place, known: Known, clients: Clients, clock: Clock) -> Iterator[Check]:
    """Yield every check but for the parameters', which come first."""
    settings = known.settings
    graph_url = os.environ.get(GRAPH_URL) or META_GRAPH_URL
    meta_is_known = is_safe_address(graph_url)
    if settings is None:
        yield _unchecked("CLOSRTECH and Meta", f"parameters below {place.path}")
    else:
        yield from _checks_of_closrtech(settings, known, clock)
        yield from _checks_of_meta(settings, known, clock) if meta_is_known else [_unchecked("Meta", GRAPH_URL)]
    yield Check("SES account", partial(check_account_of_ses, clients), "ses:GetAccount")
    sender = settings.email.sender if settings and settings.email else known.values.get("email/sender", "")
    if not known.values:
        yield _unchecked("SES sender", f"parameters below {place.path}")
    elif sender:
        rights = "ses:GetEmailIdentity and ses:GetConfigurationSet"
        yield Check("SES sender", partial(check_sender, sender, clients), rights)
    else:
        said = "no email/sender: the report goes to the log, and nobody gets it by mail"
        yield _known_already(warning("SES sender", said, PUSH))
    yield Check("ledger", partial(check_ledger, place, clients), "dynamodb:DescribeTable and dynamodb:Query")
    if place.table:
        yield Check("ledger backup", partial(check_backup, place, clients), "dynamodb:DescribeContinuousBackups")
    yield Check("clock", partial(check_clock, graph_url, clock)) if meta_is_known else _unchecked("clock", GRAPH_URL)


def _checks_of_closrtech(settings: Settings, known: Known, clock: Clock) -> Iterator[Check]:
    for campaign in (campaign for campaign in settings.campaigns if campaign.enabled):
        name = f"CLOSRTECH: {campaign.slug}"
        if "closrtech" in known.broken:
            yield _unchecked(name, "closrtech/…")
        else:
            yield Check(name, partial(check_feed, campaign, settings, clock))


def _checks_of_meta(settings: Settings, known: Known, clock: Clock) -> Iterator[Check]:
    by_token: dict[Secret, list[CampaignConfig]] = {}
    by_account: dict[tuple[Secret, str], list[CampaignConfig]] = {}
    for campaign in (campaign for campaign in settings.campaigns if campaign.enabled):
        if campaign.fb_access_token.reveal() == _MISSING:
            yield _unchecked(f"Meta: {campaign.slug}", "meta/…")
            continue
        by_token.setdefault(campaign.fb_access_token, []).append(campaign)
        by_account.setdefault((campaign.fb_access_token, campaign.fb_ad_account_id), []).append(campaign)
    yield from _checks_of_tokens(by_token, settings, known, clock)
    for (_, account), campaigns in by_account.items():
        api = api_for(campaigns[0], settings, clock)
        yield Check(f"ad account {account}", partial(check_account, account, api))
        yield Check(f"Meta campaigns of {account}", partial(check_meta_campaigns, account, campaigns, api))
    for campaign, *_ in list(by_token.values())[:1]:
        api = api_for(campaign, settings, clock)
        yield Check("regions", partial(check_regions, api))
        yield Check("Graph API", partial(check_version, campaign.fb_ad_account_id, api, clock.now().date()))


def _checks_of_tokens(
    by_token: Mapping[Secret, Sequence[CampaignConfig]], settings: Settings, known: Known, clock: Clock
) -> Iterator[Check]:
    """Yield a check of each token, named by the parameters that hold it, also of a shared one that nobody uses."""
    shared = known.values.get(SHARED_TOKEN, "").strip()
    users = [(token, campaign) for token, campaigns in by_token.items() for campaign in campaigns]
    holders: dict[Secret, list[str]] = {Secret(shared): [SHARED_TOKEN]} if shared and users else {}
    is_used = False
    for token, campaign in users:
        own = f"campaigns/{campaign.slug}/fb_access_token"
        if known.values.get(own, "").strip():
            holders.setdefault(token, []).append(own)
        else:
            is_used = True
    for token, parameters in holders.items():
        name = f"token {named(parameters)}"
        api = api_for(replace(users[0][1], fb_access_token=token), settings, clock)
        yield Check(name, partial(check_token, name, token, api, clock.now()))
    if shared and users and not is_used:
        said = "is used by no campaign: each has an fb_access_token of its own"
        remedy = "put a new token into each of those, or delete them: aws ssm delete-parameter"
        yield _known_already(warning(SHARED_TOKEN, said, remedy))


def _unchecked(name: str, for_want_of: str) -> Check:
    return _known_already(warning(name, f"not checked, for want of {for_want_of}", "see to that first"))


def _known_already(finding: Finding) -> Check:
    return Check(finding.check, partial(iter, [finding]))
