"""The checks of `doctor`. Each only reads, and a failing one never stops the others."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from email.utils import parseaddr, parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from closrads.cli.environment import ACCESS_DENIED_CODES, StageLocation
from closrads.cli.regions import meta_regions, region_differences
from closrads.cli.summary import several
from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.concurrency import map_concurrently
from closrads.config import META_GRAPH_URL, PAUSED, is_safe_address, parse_settings, truth_of
from closrads.domain.adsets import GONE_STATUSES, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.opt_out import matching_pattern, unmatched_patterns
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.targeting import RESTRICTED_CATEGORIES, control_conflicts
from closrads.domain.tiers import KnownTier
from closrads.errors import (
    ClosradsError,
    ClosrtechAccessError,
    ClosrtechDataError,
    ConfigError,
    LedgerError,
    MetaAccessError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
)
from closrads.facebook_client import ADSETS_PER_PAGE, get_active_adsets, identify, init_api, read_audience_controls
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.meta.error_codes import TOKEN_DEAD, JsonObject
from closrads.meta.graph import API_VERSION, GraphApi, Operation, has_id
from closrads.meta.rate_limit import LARGEST, SMALLEST
from closrads.meta.versions import LIVES, days_left
from closrads.redaction import Secret, one_line
from closrads.report.wording import API_NOTICE_DAYS
from closrads.rollout.budget import adsets_per_window, points_needed
from closrads.state_mapper import REGION_FILE, is_state
from closrads.sync import LEASE_MARGIN

PUSH = "put the right one with `push-config`"
END_IS_NEAR_DAYS = 30
"""Days before the announced end of a version of Meta's API from which it is a failure."""
TASKS = frozenset({"ADVERTISE", "MANAGE"})
"""Tasks that each allow the token's owner to change ad sets (Marketing API reference "Ad Account")."""
ACTIVE_ACCOUNT = 1
TIER_NAMES: Mapping[int, str] = {SMALLEST: "Limited", LARGEST: "Full"}
"""Meta's names of the access tiers, by points in five minutes."""
SHARED_TOKEN = "meta/access_token"  # noqa: S105 - the name of a parameter
GRAPH_URL = "CLOSRADS_GRAPH_URL"
VERSION_GONE = 2635
"""Marketing API "Error Codes"."""
BEHIND_TOKEN = "not checked: Meta does not accept the token"  # noqa: S105 - a message
NO_ANSWER = "check whether this machine reaches Meta (network, CLOSRADS_GRAPH_URL); then try again in some minutes"
RENEW = "generate one that never expires, of a system user of the business, with ads_management, then `push-config`"
CAN_ONLY_LOOK = "lacks the permission ads_management, so it can only look"
MAX_CONCURRENT_QUERIES = 10
MAX_NAMES = 3
"""Maximum number of names in a list of parameters or checks."""

_MISSING = "?"
_PLACEHOLDERS = {
    "closrtech/base_url": "https://closrtech.invalid",
    "closrtech/email": _MISSING,
    "closrtech/password": _MISSING,
    "meta/access_token": _MISSING,
}
"""Values for missing parameters, so that the others can be checked."""


class Verdict(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    """Runs are not affected, or the check could not be made."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a check, and the remedy."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    name: str
    run: Callable[[], Iterator[Finding]]
    required_permission: str = ""
    """The AWS permission that the operator needs for it."""


Clients = Mapping[str, Any]


def ok(check: str, said: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Verdict.OK, said)


def warning(check: str, said: str, remedy: str = "") -> Finding:
    """Return a finding that the operator should know about, or of a check that could not be made."""
    return Finding(check, Verdict.WARNING, said, remedy)


def failed(check: str, said: str, remedy: str) -> Finding:
    """Return a finding that makes runs fail, now or soon."""
    return Finding(check, Verdict.FAILED, said, remedy)


def run_check(check: Check) -> list[Finding]:
    """Run a check and return its findings; an exception becomes a finding, too."""
    try:
        return list(check.run())
    except Exception as error:  # noqa: BLE001 - a failing check must not hide the findings of the others
        return [_error_finding(check, error)]


def _error_finding(check: Check, error: Exception) -> Finding:
    """Return the finding for a check that raised an exception."""
    if isinstance(error, LedgerError) and isinstance(error.__context__, ClientError):
        error = error.__context__  # it tells a missing right
    said = one_line(str(error))
    match error:
        case ClientError() if (code := error.response["Error"]["Code"]) in ACCESS_DENIED_CODES:
            remedy = f"have {check.required_permission} allowed to you"
            return warning(check.name, f"not checked: you have no right to it ({code})", remedy)
        case ClientError() | BotoCoreError():
            remedy = "check the credentials and the Region of this shell (AWS_PROFILE, AWS_REGION), and the network"
            what = "AWS refuses" if isinstance(error, ClientError) else "AWS cannot be asked"
            return failed(check.name, f"{what}: {said}", remedy)
        case MetaError() if error.code == TOKEN_DEAD:
            return failed(check.name, BEHIND_TOKEN, "see to the token first")
        case ClosradsError():
            return failed(check.name, said, _next_step(error))
    said = one_line(f"not checked: unexpected {type(error).__name__}: {error}")
    return warning(check.name, said, "this is a defect of `doctor`; all else is checked")


def _next_step(error: ClosradsError) -> str:
    match error:
        case MetaAccessError():
            return "see to the token and its rights"
        case MetaLostAnswerError():
            return NO_ANSWER
        case MetaInvalidError():
            return "look at Meta's reason"
    return "look at the reason; try again in some minutes"


def merge_token_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Merge the findings of all checks that an invalid token prevented into one."""
    behind = [finding for finding in findings if finding.said == BEHIND_TOKEN]
    if not behind:
        return list(findings)
    is_reported = any(each.check.startswith("token ") and each.verdict is Verdict.FAILED for each in findings)
    names = summarize_names([finding.check for finding in behind])
    merged = Finding(names, Verdict.WARNING if is_reported else Verdict.FAILED, BEHIND_TOKEN, behind[0].remedy)
    return [merged if finding is behind[0] else finding for finding in findings if finding not in behind[1:]]


def summarize_names(names: Sequence[str]) -> str:
    """Return the first of several names, and how many more there are."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


# --- parameters


@dataclass(slots=True)
class ParameterState:
    """The parameters, as far as they are valid; filled in by `check_parameters`."""

    settings: Settings | None = None
    """None if even the valid parameters do not form settings."""
    values: Mapping[str, str] = field(default_factory=dict)
    """All parameters, by name below the stage's path."""
    broken: frozenset[str] = frozenset()
    """Groups with placeholders for missing parameters: `closrtech`, `meta`."""


def check_parameters(
    place: StageLocation, read: Callable[[], Mapping[str, str]], state: ParameterState
) -> Iterator[Finding]:
    """Read the settings as the function does, and store the valid ones in `state`."""
    name, values = "parameters", read()
    if not values:
        yield failed(name, f"there are none below {place.path}", "check --stage and the Region, then `push-config`")
        return
    state.values = values
    try:
        state.settings = parse_settings(place.path, values, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            full, _, said = problem.partition(": ")
            what = full.removeprefix(f"{place.path}/")
            yield failed(what, said, _remedy_for(what, said, place.path))
        state.settings, state.broken = _valid_settings(place.path, values, error.problems)
        yield from _stray_switches(place.path, state)
        return
    yield from _stray_switches(place.path, state)
    enabled = [campaign.slug for campaign in state.settings.campaigns if campaign.enabled]
    off = [campaign.slug for campaign in state.settings.campaigns if not campaign.enabled]
    said = f"{len(values)} below {place.path}; campaigns: {', '.join(enabled) or 'none'}"
    if off:
        said += f"; switched off: {', '.join(off)}"
    if not enabled:
        yield warning(name, f"{said}: a run does nothing", "set a campaign's `enabled` to true")
    elif truth_of(values.get(PAUSED, "false")):
        yield warning(name, f"{said}; all of it is paused: no targeting is changed", "`resume`, unless that is wanted")
    else:
        yield ok(name, said)


def _stray_switches(path: str, state: ParameterState) -> Iterator[Finding]:
    """Name the switches that were meant for a campaign and are below no campaign's slug."""
    for notice in state.settings.notices if state.settings else ():
        folder, _, said = notice.partition(": ")
        below = folder.removeprefix(f"{path}/")
        names = " ".join(f"{path}/{name}" for name in sorted(state.values) if name.startswith(f"{below}/"))
        remedy = f"put it below the right campaign, and delete this: aws ssm delete-parameters --names {names}"
        yield failed(below, said, remedy)


def _valid_settings(
    path: str, values: Mapping[str, str], problems: Sequence[str]
) -> tuple[Settings | None, frozenset[str]]:
    """Return the settings without the faulty parameters, and the groups in which placeholders replace them."""
    faulty = {problem.partition(": ")[0].removeprefix(f"{path}/") for problem in problems}
    dropped = tuple(f"{_scope_of(name)}/" for name in faulty)
    valid = {name: value for name, value in values.items() if not f"{name}/".startswith(dropped)}
    placeholders = {name: value for name, value in _PLACEHOLDERS.items() if name in faulty}
    broken = frozenset(name.split("/")[0] for name in placeholders)
    variables = {name: value for name, value in os.environ.items() if name not in faulty}
    try:
        return parse_settings(path, {**placeholders, **valid}, variables), broken
    except ConfigError:
        return None, broken


def _scope_of(name: str) -> str:
    """Return the prefix of the parameters that are useless without this one: its campaign, all of email, or itself."""
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
    """Request a campaign's demand as a run does, but only once."""
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
        unknown = [code for code in demand if not is_state(code)]
        wanted = sum(leads >= campaign.limits.min_demand for code, leads in demand.items() if is_state(code))
        said = several(wanted, "state") + " with demand"
        if few := len(demand) - len(unknown) - wanted:
            said += f"; {few} with fewer than the {campaign.limits.min_demand} leads of limits/min_demand"
        if unknown:
            said += f"; unknown: {', '.join(unknown)}"
        if not wanted:
            remedy = "lower limits/min_demand with `push-config`, or ask CLOSRTECH" if few else "ask CLOSRTECH"
            yield failed(name, said, f"{remedy}; until then runs leave this campaign as it is")
        elif unknown:
            yield warning(name, said, "runs leave the unknown ones out: ask CLOSRTECH")
        else:
            yield ok(name, said)


# --- Meta


def check_token(name: str, token: Secret, api: GraphApi, now: datetime) -> Iterator[Finding]:
    """Check a token's validity, owner, expiry and permissions (Graph API "debug_token")."""
    remedy = RENEW
    try:
        data = _debug_token(token, api)
    except (MetaAccessError, MetaInvalidError) as error:
        if error.code == TOKEN_DEAD:
            yield failed(name, str(error), remedy)
        else:  # some apps do not let a token inspect itself
            yield warning(name, f"not checked: {error}", "look at it in Meta's Access Token Debugger")
        return
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


def check_permissions(name: str, token: Secret, api: GraphApi) -> Iterator[Finding]:
    """Check whether a token that can read may write, too; some apps do not let a token inspect itself."""
    with suppress(MetaError):
        if _can_only_look(_debug_token(token, api)):
            yield failed(name, CAN_ONLY_LOOK, RENEW)


def _debug_token(token: Secret, api: GraphApi) -> JsonObject:
    answer = api.get_once(
        "debug_token", {"input_token": token.reveal()}, lambda found: isinstance(found.get("data"), dict)
    )
    data: JsonObject = answer["data"]
    return data


def _can_only_look(data: JsonObject) -> bool:
    return "ads_management" not in data.get("scopes", ["ads_management"])


def _token_problems(data: JsonObject, now: datetime) -> Iterator[str]:
    kind = data.get("type")
    if kind not in {None, "SYSTEM_USER"}:
        whose = "a person: it dies with that person's login" if kind == "USER" else one_line(f"no system user: {kind}")
        yield f"is of {whose}"
    ends = [moment for moment in (data.get("expires_at"), data.get("data_access_expires_at")) if moment]
    if ends:
        end = datetime.fromtimestamp(min(ends), UTC)
        yield f"expires on {end:%Y-%m-%d}, in {(end - now).days} days: then no campaign of it is updated any more"
    if _can_only_look(data):
        yield CAN_ONLY_LOOK


def check_account(account: str, slugs: Sequence[str], api: GraphApi) -> Iterator[Finding]:
    """Check whether the token's owner may change the ads of an ad account, which campaigns name by a parameter."""
    name = f"ad account {account}"
    try:
        found = api.get_once(account, {"fields": "id,name,account_status,user_tasks"}, has_id)
    except MetaInvalidError as error:
        if not error.is_missing:
            raise
        names = summarize_names([f"campaigns/{slug}/fb_ad_account_id" for slug in slugs])
        remedy = f"correct {names}, or assign the ad account to the token's system user in Business Settings"
        yield failed(name, str(error), remedy)
        return
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


def check_tier(
    account: str, campaigns: Sequence[CampaignConfig], api: GraphApi, recall: Callable[[], KnownTier | None]
) -> Iterator[Finding]:
    """Tell an ad account's access tier, and how far it reaches for the largest ad set there."""
    name = f"access tier {account}"
    api.quota.max_wait_seconds = 0  # no retries
    adsets: list[AdSetSnapshot] = []
    for campaign_id in (each for campaign in campaigns for each in campaign.fb_campaign_ids):
        try:
            adsets += get_active_adsets(api, campaign_id)
        except MetaError as error:  # the check of the Meta campaign says so
            if error.code == TOKEN_DEAD:
                raise
    recalled = None
    if api.quota.limit is None:
        with suppress(LedgerError):  # the check of the ledger says so
            recalled = recall()
    points = recalled.points if recalled else api.quota.limit
    if points is None:
        said = (
            f"not known yet, for Meta's answers do not tell it; runs begin as with {SMALLEST} points in five minutes, "
            "and find it out at the first changes that need more"
        )
    else:
        said = f"{TIER_NAMES[points]}: {points:,} points in five minutes"
        said += f", as a run has found out on {recalled.proven_at:%Y-%m-%d}" if recalled else ""
    largest = max(adsets, key=lambda adset: len(adset.active_ads), default=None)
    if largest is None:
        yield ok(name, said)
        return
    count, needed = adsets_per_window(points or SMALLEST, largest), points_needed([largest])
    said += f"; for ad sets of {len(largest.active_ads)} ads, the most there are, that is {count} changed in this time"
    if count or points is None:
        yield ok(name, said)
    else:
        said += f": one takes {needed} points with its rollback, so runs leave it alone"
        yield warning(name, said, "ask Meta for full access, or give it fewer ads")


def check_opt_outs(campaign: CampaignConfig, api: GraphApi) -> Iterator[Finding]:
    """Check whether each pattern of a campaign's `skip_adsets` names an ad set, be it on or off, and leaves some."""
    name = f"ad sets left alone: {campaign.slug}"
    parameter = f"campaigns/{campaign.slug}/skip_adsets"
    names: list[str] = []
    for meta_id in campaign.fb_campaign_ids:
        names += (str(row.get("name")) for row in api.get_all(f"{meta_id}/adsets", {"fields": "name"}, ADSETS_PER_PAGE))
    alone = [each for each in names if matching_pattern(each, campaign.skip_adsets)]
    said = one_line(f"{len(alone)} of {len(names)}: {', '.join(alone) or 'none'}")
    if unmatched := unmatched_patterns(campaign.skip_adsets, names):
        which = one_line(", ".join(f"“{pattern}”" for pattern in unmatched))
        yield warning(name, f"{said}; no ad set matches {which}", f"correct it in {parameter}, or take it out")
    elif len(alone) == len(names):
        yield warning(name, f"{said}, so nothing follows the demand", f"change {parameter}, or switch the campaign off")
    else:
        yield ok(name, said)


def check_audience_controls(account: str, api: GraphApi) -> Iterator[Finding]:
    """Check whether the audience controls of an ad account forbid any state."""
    name = f"audience controls {account}"
    try:
        controls = read_audience_controls(api)
    except MetaError as error:
        if error.code == TOKEN_DEAD:
            raise
        yield warning(name, f"not checked: {error}", "look at the audience controls in Ads Manager by hand")
        return
    regions = json.loads(REGION_FILE.read_text(encoding="utf-8")).values()
    conflicts = control_conflicts(controls, [region["key"] for region in regions])
    for said in conflicts:
        yield warning(name, said, "if there is demand there, have the audience controls changed")
    if not conflicts:
        yield ok(name, "allow all states")


def check_meta_campaigns(account: str, campaigns: Sequence[CampaignConfig], api: GraphApi) -> Iterator[Finding]:
    """Check the Meta campaigns of an ad account, in one batch."""
    owners = {meta_id: campaign.slug for campaign in campaigns for meta_id in campaign.fb_campaign_ids}
    # Only campaigns have an objective, so Meta refuses the id of an ad set or an ad.
    query = {"fields": "id,name,account_id,effective_status,objective,special_ad_categories"}
    answers = api.batch([Operation("GET", meta_id, query, has_id) for meta_id in owners], reserve=math.inf)
    for (meta_id, slug), answer in zip(owners.items(), answers, strict=True):
        name = f"Meta campaign {meta_id}"
        parameter = f"campaigns/{slug}/fb_campaign_ids"
        if isinstance(answer, MetaError):
            if answer.code == TOKEN_DEAD:
                raise answer
            if not isinstance(answer, MetaInvalidError):
                yield replace(_error_finding(Check(name, partial(iter, ())), answer), said=f"of {slug}: {answer}")
                continue
            said = identify(api, meta_id) or str(answer)
            yield failed(name, f"of {slug}: {said}", f"correct {parameter}, or let the token's owner see it")
            continue
        title, status = one_line(str(answer.get("name"))), one_line(str(answer.get("effective_status")))
        if f"act_{answer.get('account_id')}" != account:
            said = f"of {slug}: “{title}” belongs to act_{answer.get('account_id')}, not to {account}"
            yield failed(name, one_line(said), f"correct {parameter} or campaigns/{slug}/fb_ad_account_id")
        elif status in GONE_STATUSES:
            yield failed(name, f"of {slug}: “{title}” is {status.lower()}", f"take it out of {parameter}")
        elif status == "ACTIVE" and (restricted := _restricted_categories(answer)):
            yield warning(
                name,
                f"of {slug}: “{title}” is in a special ad category ({', '.join(restricted)})",
                "runs leave alone its ad sets with excluded locations, which Meta does not allow there",
            )
        elif status == "ACTIVE":
            yield ok(name, f"of {slug}: “{title}”")
        else:
            yield warning(
                name,
                f"of {slug}: “{title}” is {status.lower()}",
                "its ad sets are not active, so runs leave them alone",
            )


def _restricted_categories(campaign: JsonObject) -> list[str]:
    categories = campaign.get("special_ad_categories")
    return (
        [each for each in map(str, categories) if each in RESTRICTED_CATEGORIES] if isinstance(categories, list) else []
    )


def check_regions(api: GraphApi) -> Iterator[Finding]:
    """Compare our table of regions with Meta's search."""
    theirs, _ = meta_regions(api, reserve=math.inf)
    if lines := region_differences(json.loads(REGION_FILE.read_text(encoding="utf-8")), theirs):
        more = f" and {len(lines) - 1} more" if lines[1:] else ""
        yield failed("regions", f"{lines[0]}{more}", "`python -m scripts.check_regions --write`, review, deploy")
    else:
        yield ok("regions", f"all {len(theirs)} are as Meta has them")


def check_version(account: str, api: GraphApi, today: date) -> Iterator[Finding]:
    """Check whether the version of Meta's API has ended or may end soon.

    Meta's header warns only once the end has come; before that there is what Meta has announced, or what is expected.
    """
    name = f"Graph API {API_VERSION}"
    remedy = "read Meta's changelog, update facebook-business and API_VERSION in closrads/meta/graph.py, test, deploy"
    try:
        api.get_once(account, {"fields": "id"}, has_id)
    except MetaError as error:
        if error.code == VERSION_GONE:
            yield failed(name, str(error), remedy)
            return
    if api.version_warning:
        yield failed(name, f"Meta warns: {api.version_warning}", remedy)
        return
    life, left = LIVES[API_VERSION], days_left(API_VERSION, today)
    if life.ends:
        said = f"Meta has announced its end for {life.ends}, {left} days from today"
    else:
        said = f"released {life.released}, no end announced, no warning from Meta: expected to end in about {left} days"
    if left is None or left >= API_NOTICE_DAYS:
        yield ok(name, said)
    elif life.ends and left <= END_IS_NEAR_DAYS:
        yield failed(name, said, remedy)
    else:
        yield warning(name, said, remedy)


# --- SES


def check_account_of_ses(recipients: Sequence[str], clients: Clients) -> Iterator[Finding]:
    """Check whether SES accepts mail to any recipient; if it does not, name those whom it refuses."""
    name = "SES account"
    account = clients["sesv2"].get_account()
    region = clients["sesv2"].meta.region_name
    if not account.get("ProductionAccessEnabled"):
        said = f"is in the SES sandbox in {region}: mail goes to verified addresses only"
        remedy = "request production access in the SES console"
        refusals = list(_recipients(recipients, clients))
        if refusals:
            yield failed(name, said, remedy)
        elif recipients:
            yield warning(name, f"{said}, as all of email/recipients are", f"before there are others, {remedy}")
        else:
            yield warning(name, said, f"before you put email/recipients, {remedy}")
        yield from refusals
    elif not account.get("SendingEnabled"):
        yield failed(
            name,
            f"may not send in {region} ({account.get('EnforcementStatus')})",
            "look at the account's reputation in the SES console",
        )
    else:
        yield ok(name, f"out of the sandbox in {region}")


def check_sender(sender: str, clients: Clients) -> Iterator[Finding]:
    """Check whether the sender's address, or one of its domains, is a verified identity that can send."""
    name = "SES sender"
    address = parseaddr(sender)[1]
    domain = address.rpartition("@")[2]
    state = "is no identity of SES here"
    for identity in identities_of(address):
        found = identity_of(identity, clients)
        if found and found.get("VerifiedForSendingStatus"):
            yield ok(name, f"{address} is verified" + ("" if identity == address else f", by {identity}"))
            if chosen := found.get("ConfigurationSetName"):
                yield from _configuration_set(chosen, identity, clients)
            return
        if found:
            state = "is not verified yet"
    yield failed(name, f"{address} {state}", f"verify it, or {domain}, in the SES console of this Region")


def _recipients(recipients: Sequence[str], clients: Clients) -> Iterator[Finding]:
    """Name the recipients whom SES refuses in its sandbox, for neither their address nor a domain of it is verified."""
    refused = [address for _, address in map(parseaddr, recipients) if not any(_verified(address, clients))]
    if refused:
        remedy = "verify each in the SES console, or take it out of email/recipients"
        yield failed("SES recipients", f"SES refuses {', '.join(refused)}: not verified", remedy)


def _verified(address: str, clients: Clients) -> Iterator[bool]:
    """Yield whether the address can be used in the sandbox of SES: by itself, by its domain, or by one above that."""
    for identity in identities_of(address):
        yield bool((identity_of(identity, clients) or {}).get("VerifiedForSendingStatus"))


def identities_of(address: str) -> Sequence[str]:
    """Return the identities that an address may have: itself, its domain, and the domains above that."""
    labels = address.rpartition("@")[2].split(".")
    return [address, *(".".join(labels[index:]) for index in range(len(labels) - 1))]


def identity_of(identity: str, clients: Clients) -> Mapping[str, Any] | None:
    """Return what SES knows of an identity; None if it is none of this account and Region."""
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


def check_ledger(place: StageLocation, clients: Clients) -> Iterator[Finding]:
    """Check whether the ledger's table and index exist and can be read."""
    name = f"ledger {place.table}".strip()
    if not place.table:
        how = warning if place.forbidden else failed
        yield how(name, one_line(place.why_no_table), "deploy the stack: README, “Go live”")
        return
    try:
        table = clients["dynamodb"].describe_table(TableName=place.table)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield failed(name, "does not exist", "check the Region; deploy the stack: README, “Go live”")
        return
    indexes = {index["IndexName"] for index in table.get("LocalSecondaryIndexes", ())}
    if table["TableStatus"] not in {"ACTIVE", "UPDATING"} or "open" not in indexes:
        said = f"is {table['TableStatus'].lower()}" + ("" if "open" in indexes else ", without the index `open`")
        yield failed(name, said, "deploy the stack anew: README, “Go live”")
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


def check_open_changes(slugs: Sequence[str], table: Table) -> Iterator[Finding]:
    """Look for changes that earlier runs have begun and neither finished nor undone, of campaigns that are off, too."""
    name = "open changes"
    found = map_concurrently(Ledger(table).open_changes, slugs, MAX_CONCURRENT_QUERIES)
    changes = sorted((change for of_campaign in found for change in of_campaign), key=lambda each: each.prepared_at)
    failed_ones = [change for change in changes if change.state is ChangeState.ROLLBACK_FAILED]
    others = [change for change in changes if change.state is not ChangeState.ROLLBACK_FAILED]
    if failed_ones:
        said = f"{len(failed_ones)} not proven to be as before: {_adsets(failed_ones)}"
        yield failed(name, said, "look at Ads Manager now: docs/runbook.md, “rollback_failed”")
    if others:
        said = f"{len(others)} neither finished nor undone: {_adsets(others)}"
        yield warning(name, said, "the next live run does that, unless one is at it just now; its report says more")
    if not changes:
        yield ok(name, "none")


def _adsets(changes: Sequence[Change]) -> str:
    return summarize_names(
        [one_line(f"“{each.before.name}” ({each.before.id}) of {each.campaign}, {each.run_id}") for each in changes]
    )


def check_backup(place: StageLocation, clients: Clients) -> Iterator[Finding]:
    """Check whether the ledger has point-in-time recovery."""
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
    """Compare this machine's clock with the date of a response from Meta: leases and signatures depend on it."""
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
    """Return an API object for a campaign's ad account."""
    return init_api(
        campaign.fb_access_token,
        campaign.fb_ad_account_id,
        app_secret=settings.app_secret,
        graph_url=settings.graph_url,
        clock=clock,
    )


def checks_of(place: StageLocation, state: ParameterState, clients: Clients, clock: Clock) -> Iterator[Check]:
    """Yield all checks except that of the parameters, which must have run before."""
    settings = state.settings
    graph_url = os.environ.get(GRAPH_URL) or META_GRAPH_URL
    meta_is_known = is_safe_address(graph_url)
    if settings is None:
        yield _not_checked("CLOSRTECH and Meta", f"parameters below {place.path}")
    else:
        yield from _checks_of_closrtech(settings, state, clock)
        yield from (
            _checks_of_meta(place, settings, state, clock) if meta_is_known else [_not_checked("Meta", GRAPH_URL)]
        )
    recipients = settings.email.recipients if settings and settings.email else ()
    rights = "ses:GetAccount and ses:GetEmailIdentity"
    yield Check("SES account", partial(check_account_of_ses, recipients, clients), rights)
    sender = settings.email.sender if settings and settings.email else state.values.get("email/sender", "")
    if not state.values:
        yield _not_checked("SES sender", f"parameters below {place.path}")
    elif sender:
        rights = "ses:GetEmailIdentity and ses:GetConfigurationSet"
        yield Check("SES sender", partial(check_sender, sender, clients), rights)
    else:
        said = "no email/sender: the report goes to the log, and nobody gets it by mail"
        yield _check_returning(warning("SES sender", said, PUSH))
    yield Check("ledger", partial(check_ledger, place, clients), "dynamodb:DescribeTable and dynamodb:Query")
    if place.table and settings is not None:
        slugs = [campaign.slug for campaign in settings.campaigns]
        run = partial(check_open_changes, slugs, Table(place.table, clock))
        yield Check("open changes", run, "dynamodb:Query and dynamodb:GetItem")
    if place.table:
        yield Check("ledger backup", partial(check_backup, place, clients), "dynamodb:DescribeContinuousBackups")
    yield Check("clock", partial(check_clock, graph_url, clock)) if meta_is_known else _not_checked("clock", GRAPH_URL)


def _checks_of_closrtech(settings: Settings, state: ParameterState, clock: Clock) -> Iterator[Check]:
    for campaign in (campaign for campaign in settings.campaigns if campaign.enabled):
        name = f"CLOSRTECH: {campaign.slug}"
        if "closrtech" in state.broken:
            yield _not_checked(name, "closrtech/…")
        else:
            yield Check(name, partial(check_feed, campaign, settings, clock))


def _known_tier(account: str, place: StageLocation, clock: Clock) -> KnownTier | None:
    return Ledger(Table(place.table, clock)).known_tier(account) if place.table else None


def _checks_of_meta(place: StageLocation, settings: Settings, state: ParameterState, clock: Clock) -> Iterator[Check]:
    by_token: dict[Secret, list[CampaignConfig]] = {}
    by_account: dict[tuple[Secret, str], list[CampaignConfig]] = {}
    for campaign in (campaign for campaign in settings.campaigns if campaign.enabled):
        if campaign.fb_access_token.reveal() == _MISSING:
            yield _not_checked(f"Meta: {campaign.slug}", "meta/…")
            continue
        by_token.setdefault(campaign.fb_access_token, []).append(campaign)
        by_account.setdefault((campaign.fb_access_token, campaign.fb_ad_account_id), []).append(campaign)
    yield from _checks_of_tokens(by_token, settings, state, clock)
    for (_, account), campaigns in by_account.items():
        api = api_for(campaigns[0], settings, clock)
        yield Check(f"ad account {account}", partial(check_account, account, [each.slug for each in campaigns], api))
        recall = partial(_known_tier, account, place, clock)
        tier_api = api_for(campaigns[0], settings, clock)
        yield Check(f"access tier {account}", partial(check_tier, account, campaigns, tier_api, recall))
        yield Check(f"audience controls {account}", partial(check_audience_controls, account, api))
        for campaign in (each for each in campaigns if each.skip_adsets):
            yield Check(f"ad sets left alone: {campaign.slug}", partial(check_opt_outs, campaign, api))
        yield Check(f"Meta campaigns of {account}", partial(check_meta_campaigns, account, campaigns, api))
    for campaign, *_ in list(by_token.values())[:1]:
        api = api_for(campaign, settings, clock)
        yield Check("regions", partial(check_regions, api))
        yield Check("Graph API", partial(check_version, campaign.fb_ad_account_id, api, clock.now().date()))


def _checks_of_tokens(
    by_token: Mapping[Secret, Sequence[CampaignConfig]], settings: Settings, state: ParameterState, clock: Clock
) -> Iterator[Check]:
    """Yield a check of each token, named by the parameters that hold it, including an unused shared one."""
    shared = state.values.get(SHARED_TOKEN, "").strip()
    users = [(token, campaign) for token, campaigns in by_token.items() for campaign in campaigns]
    holders: dict[Secret, list[str]] = {Secret(shared): [SHARED_TOKEN]} if shared and users else {}
    is_used = False
    for token, campaign in users:
        own = f"campaigns/{campaign.slug}/fb_access_token"
        if state.values.get(own, "").strip():
            holders.setdefault(token, []).append(own)
        else:
            is_used = True
    for token, parameters in holders.items():
        name = f"token {summarize_names(parameters)}"
        api = api_for(replace(users[0][1], fb_access_token=token), settings, clock)
        yield Check(name, partial(check_token, name, token, api, clock.now()))
    if shared and users and not is_used:
        said = "is used by no campaign: each has an fb_access_token of its own"
        remedy = "put a new token into each of those, or delete them: aws ssm delete-parameter"
        yield _check_returning(warning(SHARED_TOKEN, said, remedy))


def _not_checked(name: str, missing: str) -> Check:
    return _check_returning(warning(name, f"not checked, for want of {missing}", "see to that first"))


def _check_returning(finding: Finding) -> Check:
    return Check(finding.check, partial(iter, [finding]))
