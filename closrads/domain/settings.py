"""What a run is told by the Parameter Store and its environment.

A *campaign* is one CLOSRADS campaign: a CLOSRTECH feed, one ad account and one or more *Meta campaigns*.
"""

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from closrads.redaction import Secret


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one campaign's run, overridable below `limits/` in the Parameter Store."""

    max_removed_pct: float = 80
    """A plan that takes away more than this share of the states that are targeted now is refused."""
    wave_size: int = 25
    """Most ad sets that may be in flight at once, once an update has proven good."""
    verify_wait_seconds: float = 3
    """Pause between re-publishing an ad set's ads and reading them again."""
    max_adsets: int | None = None
    """Most ad sets of a campaign that one run changes; the rest is deferred to the next."""


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
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class ClosrtechLogin:
    """Where CLOSRTECH answers, and to whom."""

    base_url: str
    email: Secret
    password: Secret


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """Who sends the report to whom."""

    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know before it looks at its event."""

    stage: str
    graph_url: str
    timezone: ZoneInfo
    dry_run: bool
    """What holds when the event does not say."""
    closrtech: ClosrtechLogin
    app_secret: Secret | None
    campaigns: tuple[CampaignConfig, ...]
    """All of them, also those that are switched off."""
    email: EmailConfig | None
    ledger_table: str = ""
    """The DynamoDB table of the ledger; without it only a dry run is possible."""

    def chosen(self, slugs: Collection[str] | None) -> list[CampaignConfig]:
        """Return the campaigns that are switched on, all of them or those that are named."""
        return [each for each in self.campaigns if each.enabled and (slugs is None or each.slug in slugs)]
