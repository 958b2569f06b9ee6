"""What can go wrong, sorted by what the caller should do, and how texts are made fit to leave: no secrets, no tricks.

ClosradsError
├── ConfigError               parameters or environment: all problems at once, nothing was touched
│   └── ConfigUnreadError         the Parameter Store could not be read: perhaps a minute later
├── EventError                the event: all problems at once, nothing was touched
├── ClosrtechError            CLOSRTECH did not answer properly: worth another try
│   ├── ClosrtechAccessError      it refuses us: no retry, fix what the message names
│   └── ClosrtechDataError        its answer cannot be an instruction: no retry, leave the campaign alone
├── PlanRefusedError          the plan is implausible or empty: leave the campaign alone
├── MetaError                 Meta, by code and subcode:
│   ├── MetaTransientError        worth another try
│   │   ├── MetaLostAnswerError       nobody knows whether it was done: read back
│   │   └── MetaTooMuchDataError      ask for smaller pages
│   ├── MetaRateLimitError        worth another try after `retry_after` seconds
│   ├── MetaAccessError           token or permission: no retry, stop this campaign
│   ├── MetaPolicyError           blocked by policy: no retry, stop this campaign
│   ├── MetaInvalidError          this object or request: no retry, go on with the next
│   └── MetaOutcomeUnknownError   a write may have been done and cannot be looked up: put it back
├── LedgerError               what is to be written down cannot be: no write at Meta without it
│   └── LedgerFullError           one ad set's record is too large: leave that ad set alone
├── AdSetChangedError         somebody else changed the ad set meanwhile: hands off
└── SyncFailed                the run's end when a campaign failed; the report is already out
"""

from collections.abc import Iterable
from typing import Any

from closrads.redaction import MAX_ERROR_CHARS, redact, shorten


class ClosradsError(Exception):
    """Base of everything this package raises; its text is for a person and holds no secret."""

    def __init__(self, message: str) -> None:
        super().__init__(shorten(redact(message), MAX_ERROR_CHARS))


class _ProblemsError(ClosradsError):
    """Carries every problem at once, so that one round of repair is enough."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(redact, problems))
        super().__init__("\n".join(self.problems))


class ConfigError(_ProblemsError):
    """Parameters or environment variables are missing or wrong; problems name parameters in full, never a value."""


class ConfigUnreadError(ConfigError):
    """The Parameter Store does not tell what is set; it may a minute later, for it takes 40 calls a second."""


class EventError(_ProblemsError):
    """The event is not one this function understands."""


class ClosrtechError(ClosradsError):
    """CLOSRTECH could not be read: network, time-out, 429 or 5xx."""


class ClosrtechAccessError(ClosrtechError):
    """CLOSRTECH refuses the login, the campaign or the address."""


class ClosrtechDataError(ClosrtechError):
    """CLOSRTECH's answer cannot be an instruction: malformed, empty, or no demand anywhere."""


class PlanRefusedError(ClosradsError):
    """What would be done to a campaign is implausible, so none of it is done."""


class MetaError(ClosradsError):
    """Meta answered with an error, or not at all.

    Attributes
    ----------
    code, subcode
        Meta's numbers, None where it gave none.
    retry_after
        Seconds after which Meta says it will answer again, None where it says nothing.
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


class MetaTransientError(MetaError):
    """Meta is in trouble for the moment."""


class MetaLostAnswerError(MetaTransientError):
    """No usable answer came back; a write may or may not have been done."""


class MetaTooMuchDataError(MetaTransientError):
    """The page asked for is too large; waiting does not help, a smaller `limit` does."""


class MetaRateLimitError(MetaError):
    """Too many calls; nothing was done."""


class MetaAccessError(MetaError):
    """The token is dead or lacks a permission."""

    remedy = (
        "Check meta/access_token (or the campaign's fb_access_token) and that its system user may manage the ad account"
    )


_ONE_OBJECT = frozenset(
    {
        33,  # missing, or no access to it
        1487007, 1487033, 1487056, 1487566, 1885088,  # ended, a date in the past, deleted, archived
        2490427, 2490468,  # a rejected ad
        1487756, 1487694, 2446394, 1870199, 1870189, 1870227, 1815946, 2641,  # its targeting
        1885502, 2446289, 2490155, 1885557, 1815869, 2446880, 3858152, 3390001,  # one of its ads
        1870034, 1870065, 1870088, 1870090, 1870092, 1870165, 246003, 246004,  # its audience
    }
)  # fmt: skip
"""Codes and subcodes that concern one object (Marketing API "Error Codes")."""


class MetaPolicyError(MetaError):
    """Meta blocks the action by policy; every further call makes it worse."""

    remedy = "Do not retry: look at the account in Meta Business Support first"


class MetaInvalidError(MetaError):
    """Meta refuses this request or this object as it is."""

    @property
    def is_about_one_object(self) -> bool:
        """Whether the reason is one of this ad set or ad, and says nothing about others."""
        return not _ONE_OBJECT.isdisjoint({self.code, self.subcode})


class MetaOutcomeUnknownError(MetaError):
    """A write may or may not have been done, and Meta cannot be asked, or its answers contradict each other.

    Attributes
    ----------
    cause
        What Meta refused last.
    """

    def __init__(self, message: str, cause: MetaError) -> None:
        self.cause = cause
        super().__init__(message)


class LedgerError(ClosradsError):
    """The ledger cannot be read or written; without it nothing may be changed."""


class LedgerFullError(LedgerError):
    """A change is too large to be written down; that says nothing about others."""


class AdSetChangedError(ClosradsError):
    """The ad set's targeting is neither what it was nor what was written: somebody else changed it."""


class SyncFailed(ClosradsError):  # noqa: N818 - the name that the console and the alarms show
    """At least one campaign failed; one line for each. The report was sent before this is raised.

    Attributes
    ----------
    result
        What the handler would have returned.
    """

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        self.result = result
        super().__init__(message)


def most_severe(errors: Iterable[MetaError]) -> MetaError | None:
    """Return the error that says most about what comes next: policy, then access, then quota, then any other; PURE."""
    kinds = (MetaPolicyError, MetaAccessError, MetaRateLimitError)
    return max(errors, key=lambda error: [isinstance(error, kind) for kind in kinds], default=None)
