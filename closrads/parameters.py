"""PURE: the texts of parameters and environment variables → `Settings`, or everything that is wrong with them.

A campaign is added by adding parameters below `campaigns/<slug>/`, without a code change or a deployment.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from email.utils import parseaddr
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from closrads.domain.opt_out import is_usable
from closrads.domain.settings import CampaignConfig, ClosrtechLogin, EmailConfig, Limits, Settings
from closrads.errors import ConfigError
from closrads.redaction import Secret

PAUSED = "paused"
"""Name of the parameter that keeps new changes from being started."""
META_GRAPH_URL = "https://graph.facebook.com"
DEMAND_PAGE = "/demand.php"
"""Appended to CLOSRTECH's address, unless the address ends with it."""
MAX_DAMPING_DAYS = 30
"""Maximum of `add_after_days` and `remove_after_days`; a larger number is probably a mistake."""
PLAIN_HTTP_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "host.docker.internal"})
"""Hosts that may be accessed over http: a test server on this machine, or on the host of the function's container."""
NOT_BOOLEAN = "must be true, 1, yes, false, 0 or no"
"""The problem of a value that `parse_boolean` cannot read."""

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
_INVISIBLE_AT_ENDS = re.compile(r"^[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+$")
"""Blanks, zero-width characters and byte order marks, which editors and web pages leave around pasted values."""
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SHARED_PARAMETERS = frozenset(
    {
        "closrtech/base_url", "closrtech/email", "closrtech/password",
        "meta/access_token", "meta/app_secret", "meta/webhook_verify_token", "email/sender", "email/recipients",
        "email/reply_to",
        "paused",
    }
)  # fmt: skip
_CAMPAIGN_PARAMETERS = frozenset(
    {"name", "closrtech_campaign", "fb_ad_account_id", "fb_campaign_ids", "fb_access_token", "enabled", "skip_adsets"}
)
_NEEDED = ("closrtech_campaign", "fb_ad_account_id", "fb_campaign_ids")
"""The required parameters of a campaign."""
_SWITCHES = ("enabled",)
"""Parameters that switch a campaign off; a slug with no other parameter is not a campaign."""


def parse_settings(
    path: str,
    values: Mapping[str, str],
    environment: Mapping[str, str],
    changed: Mapping[str, datetime] | None = None,
    *,
    needs_campaigns: bool = True,
) -> Settings:
    """Return the settings.

    Parameters
    ----------
    values
        Parameters, by name below `path`.
    environment
        Environment variables.
    changed
        When each parameter was last changed, by name; None if the time of a switch is not needed.
    needs_campaigns
        Whether it is an error if there is no campaign.

    Raises
    ------
    ConfigError
        Lists every problem.
    """
    return _Reader(path, values, environment, changed or {}).settings(needs_campaigns=needs_campaigns)


def parse_contact(
    path: str, values: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[EmailConfig | None, ZoneInfo]:
    """Return the sender and recipients of mails, and the time zone of their dates, despite other problems.

    The former is None if they cannot be used; the parameters are those of `parse_settings`.
    """
    return _Reader(path, values, environment, {}).contact()


def is_safe_address(url: str) -> bool:
    """Return whether secrets may be sent in the URL's query: over https, or over http to one of `PLAIN_HTTP_HOSTS`."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port != 0
    except ValueError:
        return False
    is_local_http = parts.scheme == "http" and parts.hostname in PLAIN_HTTP_HOSTS
    is_base_url = url.isprintable() and not set(url) & set(" ?#@\\")
    return bool(parts.hostname) and port_is_valid and is_base_url and (parts.scheme == "https" or is_local_http)


def trimmed(value: str) -> str:
    """Return a value without invisible characters at its ends."""
    return _INVISIBLE_AT_ENDS.sub("", value)


def _stray_switch_problem(switches: Sequence[str], slug: str, known: Collection[str]) -> str:
    names = " and ".join(f"`{switch}`" for switch in switches)
    near = get_close_matches(slug.lower(), sorted(known), 1)
    guess = f"did you mean {near[0]}?" if near else f"there is no campaign {slug}"
    return f"has nothing but {names}, which switches no campaign on or off: {guess}"


def parse_boolean(value: str) -> bool | None:
    """Return the value of a switch; None if it is neither true nor false."""
    word = value.strip().lower()
    return word in _TRUE if word in _TRUE | _FALSE else None


def _guess(name: str, known: Collection[str]) -> str:
    """Return a guess at the parameter that an unknown name means.

    If the name's folder exists, the guess is in that folder or in its `limits/`, which is easily forgotten.
    """
    folder, _, key = name.rpartition("/")
    folders = {folder, f"{folder}/limits".lstrip("/")}
    beside = {each.rpartition("/")[2]: each for each in sorted(known) if each.rpartition("/")[0] in folders}
    others = beside or {each: each for each in sorted(known)}
    near = get_close_matches((key if beside else name).lower(), others, 1)
    return f"did you mean {others[near[0]]}" if near else "misspelled"


class _Reader:
    """Parses settings and collects every problem, instead of stopping at the first."""

    def __init__(
        self, path: str, values: Mapping[str, str], environment: Mapping[str, str], changed: Mapping[str, datetime]
    ) -> None:
        self._path = path
        self._changed = changed
        self._values = {name: trimmed(value) for name, value in values.items()}
        self._environment = environment
        self._problems: list[str] = []

    def settings(self, *, needs_campaigns: bool) -> Settings:
        notices = self._take_out_stray_switches()
        slugs = sorted(self._below_slugs())
        self._refuse_unknown_names(slugs)
        slugs = self._without_misspelled(slugs)
        shared_limits = self._limits("limits", Limits())
        settings = Settings(
            stage=self._environment.get("CLOSRADS_STAGE", "") or self._path.rsplit("/", 1)[-1],
            graph_url=self._url("CLOSRADS_GRAPH_URL", self._environment.get("CLOSRADS_GRAPH_URL") or META_GRAPH_URL),
            timezone=self._timezone(),
            dry_run=self._dry_run(),
            closrtech=ClosrtechLogin(
                base_url=self._url(self._full("closrtech/base_url"), self._required("closrtech/base_url")).removesuffix(
                    DEMAND_PAGE
                ),
                email=Secret(self._required("closrtech/email")),
                password=Secret(self._required("closrtech/password")),
            ),
            app_secret=Secret(app_secret) if (app_secret := self._optional("meta/app_secret")) else None,
            campaigns=tuple(self._campaign(slug, shared_limits) for slug in slugs),
            email=self._email(),
            ledger_table=self._environment.get("CLOSRADS_LEDGER_TABLE", ""),
            notices=notices,
            paused_since=self._changed.get(PAUSED) if self._is_paused() else None,
        )
        if needs_campaigns and not slugs:
            self._problem("campaigns/<slug>/closrtech_campaign", "is missing: no campaign is set up")
        self._refuse_shared_meta_campaigns(settings.campaigns)
        if self._problems:
            raise ConfigError(sorted(set(self._problems)))
        return settings

    def _below_slugs(self) -> dict[str, set[str]]:
        """Return the names of the parameters below each campaign's slug."""
        below: dict[str, set[str]] = {}
        for name in self._values:
            if found := re.fullmatch(r"campaigns/([^/]+)/(.+)", name, re.DOTALL):
                below.setdefault(found[1], set()).add(found[2])
        return below

    def _take_out_stray_switches(self) -> tuple[str, ...]:
        """Remove the slugs that have only a switch, and return a notice about each.

        Such a slug is misspelled, which must not make every run fail.
        """
        below = self._below_slugs()
        strays = sorted(slug for slug, names in below.items() if names <= {*_SWITCHES})
        for slug in strays:
            for switch in below[slug]:
                del self._values[f"campaigns/{slug}/{switch}"]
        known = below.keys() - {*strays}
        return tuple(
            f"{self._full(f'campaigns/{slug}')}: {_stray_switch_problem(sorted(below[slug]), slug, known)}"
            for slug in strays
        )

    def _without_misspelled(self, slugs: Sequence[str]) -> list[str]:
        """Leave out the slugs that resemble another campaign's and have no required parameter; each is a problem.

        Their parameters are meant for the other campaign, so a request for the missing ones would mislead.
        """
        below = self._below_slugs()
        real = [slug for slug in slugs if not below[slug].isdisjoint((*_NEEDED, *_SWITCHES))]
        kept = []
        for slug in slugs:
            if slug in real or not (near := get_close_matches(slug.lower(), real, 1)):
                kept.append(slug)
            else:
                self._problem(f"campaigns/{slug}", f"is no campaign: did you mean campaigns/{near[0]}?")
        return kept

    def _full(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _problem(self, name: str, what: str) -> None:
        self._problems.append(f"{self._full(name)}: {what}")

    def _optional(self, name: str) -> str | None:
        value = self._values.get(name)
        if value == "":
            self._problem(name, "is empty: to do without it, delete the parameter")
        return value or None

    def _required(self, name: str) -> str:
        value = self._values.get(name)
        if not value:
            self._problem(name, "is missing" if value is None else "is empty")
        return value or ""

    def _list(self, name: str, *, required: bool) -> tuple[str, ...]:
        text = self._required(name) if required else self._optional(name)
        items = tuple(map(trimmed, text.split(","))) if text else ()
        if not all(items):
            self._problem(name, "has an empty entry (StringList: a,b,c)")
        if len(set(items)) != len(items):
            self._problem(name, "names an entry twice")
        return items

    def _refuse_unknown_names(self, slugs: list[str]) -> None:
        limits = Limits.__dataclass_fields__
        known = _SHARED_PARAMETERS | {f"limits/{limit}" for limit in limits}
        for slug in slugs:
            if not _SLUG.fullmatch(slug):
                self._problem(f"campaigns/{slug}", "is not a usable name: lower-case letters, digits, - and _")
            known |= {f"campaigns/{slug}/{name}" for name in _CAMPAIGN_PARAMETERS}
            known |= {f"campaigns/{slug}/limits/{limit}" for limit in limits}
        for name in self._values.keys() - known:
            self._problem(name, f"is not a parameter of this system: {_guess(name, known)}?")

    def _campaign(self, slug: str, shared_limits: Limits) -> CampaignConfig:
        below = f"campaigns/{slug}"
        enabled = self._switch(self._full(f"{below}/enabled"), self._optional(f"{below}/enabled") or "true")
        problems_before = len(self._problems)
        own_token = self._optional(f"{below}/fb_access_token")
        token = own_token or self._required("meta/access_token")
        account = self._required(f"{below}/fb_ad_account_id")
        if account and not re.fullmatch(r"act_\d+", account):
            self._problem(f"{below}/fb_ad_account_id", "must be act_ and digits")
        meta_campaigns = self._list(f"{below}/fb_campaign_ids", required=True)
        if not all(campaign.isdecimal() for campaign in meta_campaigns if campaign):
            self._problem(f"{below}/fb_campaign_ids", "must be a list of ids made of digits")
        skip_adsets = self._list(f"{below}/skip_adsets", required=False)
        if not all(map(is_usable, skip_adsets)):
            self._problem(
                f"{below}/skip_adsets",
                "has a pattern that no name can match: close each [ with ] and name characters in their order, "
                "or write [[] for the sign itself",
            )
        campaign = CampaignConfig(
            name=self._optional(f"{below}/name") or re.sub("[-_]+", " ", slug).title(),
            slug=slug,
            closrtech_campaign=self._required(f"{below}/closrtech_campaign"),
            fb_access_token=Secret(token),
            fb_ad_account_id=account,
            fb_campaign_ids=meta_campaigns,
            enabled=enabled,
            off_since=None if enabled else self._changed.get(f"{below}/enabled"),
            limits=self._limits(f"{below}/limits", shared_limits),
            skip_adsets=skip_adsets,
        )
        if not enabled:
            del self._problems[problems_before:]  # a disabled campaign may be incomplete
        return campaign

    def _refuse_shared_meta_campaigns(self, campaigns: tuple[CampaignConfig, ...]) -> None:
        owner: dict[str, str] = {}
        for campaign in (campaign for campaign in campaigns if campaign.enabled):
            for meta_campaign in campaign.fb_campaign_ids:
                other = owner.setdefault(meta_campaign, campaign.slug)
                if other != campaign.slug:
                    self._problem(
                        f"campaigns/{campaign.slug}/fb_campaign_ids",
                        f"names a Meta campaign that campaigns/{other} has too: the two would undo each other",
                    )

    def _limits(self, below: str, default: Limits) -> Limits:
        return Limits(
            max_removed_pct=self._number(f"{below}/max_removed_pct", 0, 100, default.max_removed_pct),
            wave_size=self._whole_number(f"{below}/wave_size", 1, 1000) or default.wave_size,
            verify_wait_seconds=self._number(f"{below}/verify_wait_seconds", 0, 60, default.verify_wait_seconds),
            max_adsets=self._whole_number(f"{below}/max_adsets", 1, 100_000) or default.max_adsets,
            min_demand=self._whole_number(f"{below}/min_demand", 1, 1_000_000) or default.min_demand,
            add_after_days=self._days(f"{below}/add_after_days", default.add_after_days),
            remove_after_days=self._days(f"{below}/remove_after_days", default.remove_after_days),
        )

    def _email(self) -> EmailConfig | None:
        sender = self._optional("email/sender")
        recipients = self._list("email/recipients", required=False)
        reply_to = self._optional("email/reply_to")
        for name, addresses in (
            ("email/sender", (sender,) if sender else ()),
            ("email/recipients", recipients),
            ("email/reply_to", (reply_to,) if reply_to else ()),
        ):
            if not all("@" in parseaddr(address)[1] for address in addresses):
                self._problem(name, "has an entry that is no mail address")
        if bool(sender) != bool(recipients):
            self._problem("email/recipients" if sender else "email/sender", "is missing: give both or neither")
        return EmailConfig(sender, recipients, reply_to or "") if sender and recipients else None

    def contact(self) -> tuple[EmailConfig | None, ZoneInfo]:
        return self._email(), self._timezone()

    def _url(self, name: str, value: str) -> str:
        if value and not is_safe_address(value):
            self._problems.append(f"{name}: must be a plain https:// address, without query, fragment or login")
        return value.rstrip("/")

    def _timezone(self) -> ZoneInfo:
        name = self._environment.get("CLOSRADS_TIMEZONE") or "UTC"
        try:
            return ZoneInfo(name)
        except (LookupError, OSError, ValueError):
            self._problems.append("CLOSRADS_TIMEZONE: is not a time zone such as America/New_York")
            return ZoneInfo("UTC")

    def _dry_run(self) -> bool:
        return self._switch("DRY_RUN", self._environment.get("DRY_RUN", "true"))

    def _is_paused(self) -> bool:
        return self._switch(self._full(PAUSED), self._optional(PAUSED) or "false")

    def _switch(self, name: str, value: str) -> bool:
        truth = parse_boolean(value)
        if truth is None:
            self._problems.append(f"{name}: {NOT_BOOLEAN}")
        return truth is not False

    def _number(self, name: str, minimum: float, maximum: float, default: float) -> float:
        text = self._optional(name)
        if text is None:
            return default
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not minimum <= number <= maximum:
            self._problem(name, f"must be a number from {minimum:g} to {maximum:g}")
            return default
        return number

    def _days(self, name: str, default: int) -> int:
        days = self._whole_number(name, 0, MAX_DAMPING_DAYS)
        return default if days is None else days  # 0 is a value: it overrides the shared limit

    def _whole_number(self, name: str, minimum: int, maximum: int) -> int | None:
        text = self._optional(name)
        if text is None:
            return None
        if not text.isdecimal() or not minimum <= int(text) <= maximum:
            self._problem(name, f"must be a whole number from {minimum} to {maximum}")
            return None
        return int(text)
