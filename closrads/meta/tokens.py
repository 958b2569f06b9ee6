"""Reads what Meta says about an access token: which app it belongs to, and when it ends."""

from datetime import UTC, date, datetime

from closrads.errors import MetaError
from closrads.meta.error_codes import TOKEN_DEAD, JsonObject
from closrads.meta.graph import GraphApi
from closrads.observability import logger

_END_OF_CALENDAR = datetime.max.replace(tzinfo=UTC).timestamp()


def read_app_id(api: GraphApi) -> str:
    """Return the id of the app that our token belongs to (Graph API "debug_token"); empty if Meta does not say."""
    try:
        answer = api.get_once("debug_token", {"input_token": api.access_token.reveal()}, _has_data)
    except MetaError as error:
        logger.warning("meta.token_not_inspected", extra={"error": str(error)})
        return ""
    app_id = answer["data"].get("app_id")
    return str(app_id) if isinstance(app_id, str | int) else ""


def read_token_end(api: GraphApi, known: date | None) -> date | None:
    """Return the last day on which Meta accepts our token, None if it never ends; `known` if Meta does not say.

    A time of 0, or one beyond the calendar, means never (Graph API "debug_token"). Some apps do not let a token inspect
    itself.
    """
    try:
        answer = api.get_once("debug_token", {"input_token": api.access_token.reveal()}, _has_data)
    except MetaError as error:
        if error.code == TOKEN_DEAD:
            return api.clock.now().date()
        logger.warning("meta.token_not_inspected", extra={"error": str(error)})
        return known
    found = answer["data"]
    times = [found.get(name) for name in ("expires_at", "data_access_expires_at")]
    ends = [time for time in times if isinstance(time, int) and 0 < time < _END_OF_CALENDAR]
    return datetime.fromtimestamp(min(ends), UTC).date() if ends else None


def _has_data(answer: JsonObject) -> bool:
    return isinstance(answer.get("data"), dict)
