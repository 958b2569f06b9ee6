"""Texts of the appendix, which is for whoever runs CLOSRADS and quotes raw texts as they are."""

from closrads.domain.request import PUSH
from closrads.report.wording.phrases import several

APPENDIX = "Details for whoever runs CLOSRADS"
"""Title of the appendix."""
REASONS = {PUSH: "This second look was triggered by a notice from Meta"}
"""Why a run was started, by the reason in its event."""
TOKEN_NOTICE_DAYS = 14
"""Days before the end of a token from which the report names it, as the alarm TokenEnds does."""
API_NOTICE_DAYS = 120
"""Days before the end of a version of Meta's API from which the report names it, as the alarm ApiVersionEnds does."""


def token_notice(days_left: int | None) -> str:
    """Return what to do about a token that ends soon; empty if none does."""
    if days_left is None or days_left >= TOKEN_NOTICE_DAYS:
        return ""
    when = f"expires in {several(days_left, 'day')}" if days_left > 0 else "expires today, or has expired"
    return (
        f"A Meta access token {when}. After that, the campaigns that use it are not updated, checked or put back. Run "
        "the command doctor, which names it, and store a system user token that never expires."
    )


def api_notice(days_left: int | None) -> str:
    """Return what to do about a version of Meta's API that ends soon; empty if it does not."""
    if days_left is None or days_left >= API_NOTICE_DAYS:
        return ""
    when = f"ends in about {several(days_left, 'day')}" if days_left > 0 else "has been retired"
    return (
        f"The version of Meta's API that CLOSRADS uses {when}. Get the latest version of CLOSRADS, deploy it, and run "
        "its command doctor."
    )
