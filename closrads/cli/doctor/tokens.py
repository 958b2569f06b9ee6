"""The checks of Meta's access tokens."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from closrads.cli.doctor.findings import Finding, failed, ok, warning
from closrads.errors import MetaAccessError, MetaError, MetaInvalidError
from closrads.meta.error_codes import TOKEN_DEAD, JsonObject
from closrads.meta.graph import GraphApi
from closrads.redaction import Secret, one_line

RENEW = "generate one that never expires, of a system user of the business, with ads_management, then `push-config`"
CAN_ONLY_READ = "lacks the permission ads_management, so it can only read"


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
        if _can_only_read(_debug_token(token, api)):
            yield failed(name, CAN_ONLY_READ, RENEW)


def _debug_token(token: Secret, api: GraphApi) -> JsonObject:
    answer = api.get_once(
        "debug_token", {"input_token": token.reveal()}, lambda found: isinstance(found.get("data"), dict)
    )
    data: JsonObject = answer["data"]
    return data


def _can_only_read(data: JsonObject) -> bool:
    return "ads_management" not in data.get("scopes", ["ads_management"])


def _token_problems(data: JsonObject, now: datetime) -> Iterator[str]:
    kind = data.get("type")
    if kind not in {None, "SYSTEM_USER"}:
        whose = "a person: it ends with that person's login" if kind == "USER" else one_line(f"no system user: {kind}")
        yield f"is of {whose}"
    ends = [moment for moment in (data.get("expires_at"), data.get("data_access_expires_at")) if moment]
    if ends:
        end = datetime.fromtimestamp(min(ends), UTC)
        yield f"expires on {end:%Y-%m-%d}, in {(end - now).days} days: then none of its campaigns is updated any more"
    if _can_only_read(data):
        yield CAN_ONLY_READ
