"""Settings from the Parameter Store and the environment.

A *campaign* is one CLOSRADS campaign: a CLOSRTECH feed, one ad account and one or more *Meta campaigns*.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from closrads.domain.switches import SwitchedOff
from closrads.redaction import Secret


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one campaign's run, overridable below `limits/` in the Parameter Store."""

    max_removed_pct: float = 80
    """Maximum share of the currently targeted states that a plan may remove; a plan that exceeds it is refused."""
    wave_size: int = 25
    """Maximum number of ad sets in a wave, once an update has been verified."""
    verify_wait_seconds: float = 3
    """Seconds between the re-publish of an ad set's ads and their verification."""
    max_adsets: int | None = None
    """Maximum number of ad sets that one run changes per campaign; the rest is deferred. None for no limit."""
    min_demand: int = 1
    """Minimum number of leads for a state to count as wanted."""
    add_after_days: int = 0
    """Days on which a state must have been wanted before it is added; 0 for at once."""
    remove_after_days: int = 0
    """Days on which a state must have been unwanted before it is removed; 0 for at once."""

    @property
    def is_damped(self) -> bool:
        """Whether a state has to wait before it is added or removed."""
        return self.add_after_days > 0 or self.remove_after_days > 0


@dataclass(frozen=True, slots=True)
class CampaignConfig:
    """One CLOSRADS campaign as the Parameter Store describes it."""

    name: str
    slug: str
    closrtech_campaign: str
    fb_access_token: Secret
    fb_ad_account_id: str
    fb_campaign_ids: tuple[str, ...]
    enabled: bool = True
    off_since: datetime | None = None
    """When it was switched off; None if it is enabled."""
    limits: Limits = Limits()
    skip_adsets: tuple[str, ...] = ()
    """Patterns of the names of ad sets that are left alone; see `domain/opt_out.py`."""


@dataclass(frozen=True, slots=True)
class ClosrtechLogin:
    """CLOSRTECH's address and credentials."""

    base_url: str
    email: Secret
    password: Secret


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """Sender and recipients of the report."""

    sender: str
    recipients: tuple[str, ...]
    reply_to: str = ""
    """Address for replies to the report; empty for the sender's."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a run needs to know before it parses its event."""

    stage: str
    graph_url: str
    timezone: ZoneInfo
    dry_run: bool
    """The default for events without `dry_run`."""
    closrtech: ClosrtechLogin
    app_secret: Secret | None
    campaigns: tuple[CampaignConfig, ...]
    """All campaigns, including disabled ones."""
    email: EmailConfig | None
    ledger_table: str = ""
    """Name of the ledger's DynamoDB table; if empty, only a dry run of a sync is possible."""
    notices: tuple[str, ...] = ()
    """Problems of the parameters that stop no run: the full name of a parameter or folder, and the problem."""
    paused_since: datetime | None = None
    """When everything was paused; None if it is not."""

    @property
    def switched_off(self) -> tuple[SwitchedOff, ...]:
        """The switches that keep new changes from being started."""
        everything = (SwitchedOff(self.paused_since),) if self.paused_since else ()
        return everything + tuple(
            SwitchedOff(each.off_since, each.slug, each.name) for each in self.campaigns if each.off_since
        )

    def chosen(self, slugs: Collection[str] | None) -> list[CampaignConfig]:
        """Return the enabled campaigns: those in `slugs`, or all of them if it is None."""
        return [each for each in self.campaigns if each.enabled and (slugs is None or each.slug in slugs)]
