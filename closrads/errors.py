"""The exceptions of this package, by what the caller should do.

ClosradsError
├── ConfigError               parameters or environment: lists all problems; nothing was changed
│   └── ConfigUnavailableError    the Parameter Store could not be read: try again in a minute
├── EventError                the event: lists all problems; nothing was changed
├── ClosrtechError            no usable response from CLOSRTECH: retry
│   ├── ClosrtechAccessError      request refused: no retry; fix what the message names
│   └── ClosrtechDataError        invalid response: no retry; leave the campaign unchanged
├── PlanRefusedError          the plan is implausible or empty: leave the campaign unchanged
├── PausedError               switched off by a person: start no change, finish started ones; not a failure
├── MetaError                 Meta, by code and subcode:
│   ├── MetaTransientError        retry
│   │   ├── MetaLostAnswerError       outcome of the call unknown: read back
│   │   └── MetaTooMuchDataError      retry with smaller pages
│   ├── MetaRateLimitError        retry after `retry_after` seconds
│   ├── MetaFatalError            all further changes would be refused as well: no retry; stop the campaign
│   │   ├── MetaAccessError           token or permission
│   │   ├── MetaAccountError          the ad account, until a person has acted
│   │   ├── MetaPolicyError           blocked by policy
│   │   ├── MetaRegionNameError       a region is not the place that our table says
│   │   └── MetaVersionError          the version of Meta's API has ended
│   ├── MetaInvalidError          this request: no retry; continue with the next ad set, but not after equal refusals
│   │   └── MetaObjectError           this object: no retry; continue with the next ad set
│   └── MetaOutcomeUnknownError   outcome of a write unknown, and reading back failed: roll back
├── LedgerError               the ledger cannot be read or written: no write at Meta without it
│   └── LedgerItemTooLargeError   one ad set's item is too large: leave that ad set unchanged
├── QueueError                the queue of Meta's pushes: the message is delivered again
├── AdSetChangedError         the ad set was changed by somebody else: leave it unchanged
└── SyncFailed                a campaign failed; the report has already been sent
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from closrads.redaction import MAX_ERROR_CHARS, redact, shorten


class ClosradsError(Exception):
    """Base class of this package's exceptions; the message is redacted and meant for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(shorten(redact(message), MAX_ERROR_CHARS))


class _ProblemsError(ClosradsError):
    """Lists every problem, so that all of them can be fixed at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(redact, problems))
        super().__init__("\n".join(self.problems))


class ConfigError(_ProblemsError):
    """Parameters or environment variables are missing or invalid; problems give full parameter names, never values."""


class ConfigUnavailableError(ConfigError):
    """The Parameter Store cannot be read; it throttles at 40 calls per second, so a later attempt may succeed."""


class EventError(_ProblemsError):
    """The event is invalid."""


class ClosrtechError(ClosradsError):
    """CLOSRTECH could not be read: network error, timeout, HTTP 408, 425, 429 or 5xx.

    Attributes
    ----------
    retry_after
        Seconds that CLOSRTECH asks to wait before the next request; 0 if it does not say.
    """

    def __init__(self, message: str, *, retry_after: float = 0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ClosrtechAccessError(ClosrtechError):
    """CLOSRTECH refuses the credentials, the campaign or the URL."""


class ClosrtechDataError(ClosrtechError):
    """CLOSRTECH's response is malformed, empty, or has no demand in any state."""


class PlanRefusedError(ClosradsError):
    """The plan for a campaign is implausible; none of it is carried out."""


class PausedError(ClosradsError):
    """Everything is paused, or the campaign is switched off: no change may be started.

    Attributes
    ----------
    since
        When the switch was last changed.
    is_of_campaign
        Whether it is the campaign's switch.
    """

    def __init__(self, message: str, since: datetime, *, is_of_campaign: bool = False) -> None:
        self.since = since
        self.is_of_campaign = is_of_campaign
        super().__init__(message)


_MISSING = 33


class MetaError(ClosradsError):
    """Meta returned an error, or no response.

    Attributes
    ----------
    code, subcode
        Meta's error code and subcode; None if absent.
    retry_after
        Seconds after which Meta accepts calls again; None if Meta does not state it.
    """

    remedy = ""

    def __init__(
        self, message: str, *, code: int | None = None, subcode: int | None = None, retry_after: float | None = None
    ) -> None:
        self.code = code
        self.subcode = subcode
        self.retry_after = retry_after
        numbers = "/".join(str(number) for number in (code, subcode) if number is not None)
        text = message + (f" [Meta {numbers}]" if numbers else "")
        super().__init__(f"{text}. {self.remedy}" if self.remedy else text)

    @property
    def is_missing(self) -> bool:
        """Whether the object is missing or not accessible with this token; Meta does not distinguish these."""
        return _MISSING in {self.code, self.subcode}


class MetaTransientError(MetaError):
    """Meta reports a temporary failure."""


class MetaLostAnswerError(MetaTransientError):
    """No usable response arrived; a write may have taken effect."""


class MetaTooMuchDataError(MetaTransientError):
    """The requested page of a list is too large: retry with a smaller `limit`; waiting does not help."""


class MetaRateLimitError(MetaError):
    """The rate limit is reached; the call had no effect."""


class MetaFatalError(MetaError):
    """Meta would refuse every further change of the campaign as well."""


class MetaAccessError(MetaFatalError):
    """The token is invalid or lacks a permission."""

    remedy = (
        "Check meta/access_token (or the campaign's fb_access_token) and that its system user may manage the ad account"
    )


class MetaAccountError(MetaFatalError):
    """Meta refuses changes in the ad account until a person has acted, and says what is to be done."""

    remedy = "Nothing in this ad account can be changed until a person has settled that in Ads Manager"


class MetaPolicyError(MetaFatalError):
    """Meta blocks the action by policy; further calls prolong the block."""

    remedy = "Do not retry: look at the account in Meta Business Support first"


CHECK_REGIONS = "Have whoever runs CLOSRADS compare the table of regions with Meta's: `python -m closrads doctor`"


class MetaRegionNameError(MetaFatalError):
    """Meta shows a written region under another name than our table: the table or Meta has changed, for all ad sets."""

    remedy = CHECK_REGIONS


class MetaVersionError(MetaFatalError):
    """Meta no longer serves the version of its API that this package uses."""

    remedy = "A newer CLOSRADS is needed: get its latest state, then deploy it as README.md says under “Go live”"


class MetaInvalidError(MetaError):
    """Meta refuses this request; it may refuse the same for every other object, too."""


class MetaObjectError(MetaInvalidError):
    """The reason concerns a single ad set or ad, and implies nothing about others."""


class MetaOutcomeUnknownError(MetaError):
    """The outcome of a write is unknown: reading back failed, or contradicts Meta's response to the write.

    Attributes
    ----------
    cause
        The last error of the write itself.
    """

    def __init__(self, message: str, cause: MetaError) -> None:
        self.cause = cause
        super().__init__(message)


class LedgerError(ClosradsError):
    """The ledger cannot be read or written; without it, nothing may be changed at Meta."""


class LedgerItemTooLargeError(LedgerError):
    """A change exceeds the maximum item size; other changes are not affected."""


class QueueError(ClosradsError):
    """The queue of Meta's pushes cannot be reached, or refuses the call."""


class AdSetChangedError(ClosradsError):
    """The ad set's regions are neither the original nor the written ones: somebody else has changed them."""


class SyncFailed(ClosradsError):  # noqa: N818 - the name that the console and the alarms show
    """At least one campaign failed; the message has a line for each. The report has already been sent.

    Attributes
    ----------
    result
        The JSON object that the handler would have returned.
    """

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        self.result = result
        super().__init__(message)


def most_severe(errors: Iterable[MetaError]) -> MetaError | None:
    """Return the most severe error, or None if there is none. PURE.

    The order by class: region name, policy, fatal, rate limit, any other.
    """
    kinds = (MetaRegionNameError, MetaPolicyError, MetaFatalError, MetaRateLimitError)
    return max(errors, key=lambda error: [isinstance(error, kind) for kind in kinds], default=None)
