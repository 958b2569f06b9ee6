"""What exists at Meta, and the settings of its API."""

import copy
import hashlib
import hmac
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

from sandbox.meta import faults, targeting
from sandbox.meta.breakage import Breakage
from sandbox.meta.faults import Refused
from sandbox.meta.model import Account, Ad, AdSet, Campaign, Node
from sandbox.meta.quota import Quota
from sandbox.server import Reply

Oddity = Callable[[dict[str, Any]], dict[str, Any]]
"""What an answer shows instead of an object; see `sandbox.meta.oddities`."""

_KINDS: dict[type[Node], str] = {Account: "account", Campaign: "campaign", AdSet: "adset", Ad: "ad"}


class State:
    """Accounts, campaigns, ad sets and ads, the access tokens, and how the API answers.

    All of it is behind one lock, so hooks and other threads may change it at any time. `now` gives the time in seconds;
    it drives quotas, time stamps and breakage.
    """

    version = "v26.0"

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Let nothing exist, with every setting at its default."""
        self.accounts: dict[str, Account] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.adsets: dict[str, AdSet] = {}
        self._ads: dict[str, Ad] = {}
        self._ids = itertools.count(120_210_000_000_010_007, 10)
        self._scheduled: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()

        self.token = "EAAFAKESYSTEMUSER"
        self.dead_tokens: dict[str, Reply] = {}
        """Tokens and what Meta says to them."""
        self.token_type = "SYSTEM_USER"
        self.token_expires_at = 0
        self.token_data_access_expires_at = 0
        self.token_scopes = ["ads_management", "ads_read", "business_management"]
        self.app_secret: str | None = None
        """With one, every call needs a proof."""

        self.latency = 0.0
        """Seconds of real time that an exchange takes, its own work included."""
        self.latency_per_item = 0.0
        """Seconds more for each item of a batch."""
        self.page_size: int | None = None
        """The largest page, whatever `limit` asks for."""
        self.empty_pages = 0
        """Empty pages before each page with rows."""
        self.max_rows: int | None = None
        """The most rows of an answer, nested ones included; above it `too_much_data` is the answer."""
        self.too_much_data = faults.REDUCE_DATA
        self.read_oddity: Oddity | None = None
        """What reads show instead of an object; gets a copy."""
        self.echo_oddity: Oddity | None = None
        """The same for the answer to a write with `fields`."""
        self.version_warning: str | None = None
        """The header with which Meta announces that a version ends."""

    @property
    def url(self) -> str:
        """The base URL of links to further pages, without a trailing slash."""
        return "https://graph.facebook.com"

    @property
    def token(self) -> str:
        """The access token to use. Setting it makes it the only accepted one; add others to `tokens`."""
        return self._token

    @token.setter
    def token(self, value: str) -> None:
        self._token = value
        self.tokens = {value}

    # --- building

    def add_account(self, account_id: str, tier: str | None = "full") -> Account:
        """Add an ad account (or change its tier): "full" has 9000 points per 300 s, "limited" 60, None no limit."""
        with self.lock:
            quota = Quota(tier, self.now) if tier is not None else None
            account = self.accounts.setdefault(account_id, Account(id=account_id, quota=quota))
            account.quota = quota
            return account

    def add_campaign(
        self,
        campaign_id: str,
        account: str = "act_111",
        name: str = "Leads",
        status: str = "ACTIVE",
        special_ad_categories: Iterable[str] = (),
    ) -> str:
        """Add a Meta campaign and, when it is new, its ad account; return its id."""
        with self.lock:
            owner = self.accounts.get(account) or self.add_account(account)
            campaign = Campaign(
                id=campaign_id,
                name=name,
                account=owner,
                status=status,
                special_ad_categories=tuple(special_ad_categories),
                created_time=self.now(),
                updated_time=self.now(),
            )
            self.campaigns[campaign_id] = campaign
            owner.campaigns.append(campaign)
            return campaign_id

    def add_adset(  # noqa: PLR0913 - all but the first two have a default
        self,
        campaign_id: str,
        name: str,
        states: str | Iterable[str] | None = None,
        targeting: dict[str, Any] | None = None,
        ads: int = 2,
        *,
        status: str = "ACTIVE",
        effective_status: str | None = None,
        adset_id: str | None = None,
        breakage: Breakage | None = None,
    ) -> str:
        """Add an ad set with so many healthy lead ads; return its id.

        `states` ("FL GA", or codes) builds the whole targeting of a US lead-form ad set; `targeting` gives it as it is.
        `breakage` is what a targeting write does to each of the ads.
        """
        with self.lock:
            adset = AdSet(
                id=adset_id or self._new_id(),
                name=name,
                campaign=self.campaigns[campaign_id],
                targeting=_initial_targeting(states, targeting),
                status=status,
                overruled=effective_status,
                created_time=self.now(),
                updated_time=self.now(),
                last_significant_edit=self.now() - 30 * 86_400,
            )
            self.adsets[adset.id] = adset
            adset.campaign.adsets.append(adset)
            for number in range(1, ads + 1):
                self.add_ad(adset.id, f"{name}: ad {number}", breakage=breakage)
            return adset.id

    def add_ad(  # noqa: PLR0913 - all but the first two have a default
        self,
        adset_id: str,
        name: str,
        status: str = "ACTIVE",
        effective_status: str | None = None,
        *,
        issues: Iterable[dict[str, Any]] = (),
        review_feedback: dict[str, Any] | None = None,
        breakage: Breakage | None = None,
    ) -> str:
        """Add an ad; return its id. A HARD_ERROR among its `issues` makes it WITH_ISSUES."""
        with self.lock:
            ad = Ad(
                id=self._new_id(),
                name=name,
                adset=self.adsets[adset_id],
                status=status,
                overruled=effective_status,
                issues=[dict(issue) for issue in issues],
                review_feedback=review_feedback,
                breakage=breakage,
                created_time=self.now(),
                updated_time=self.now(),
            )
            self._ads[ad.id] = ad
            ad.adset.ads.append(ad)
            return ad.id

    def _new_id(self) -> str:
        return str(next(self._ids))

    # --- finding

    def kind_of(self, path: str) -> str:
        """Name what a path is about."""
        object_id, _, edge = path.partition("/")
        if edge or object_id in {"search", "debug_token"}:
            return edge or object_id
        node = self.find(object_id)
        return "unknown" if node is None else _KINDS[type(node)]

    def node(self, object_id: str) -> Node:
        """Return the object with this id; raise `Refused` as Meta does when there is none."""
        node = self.find(object_id)
        if node is None:
            raise Refused(faults.OBJECT_MISSING)
        return node

    def find(self, object_id: str) -> Node | None:
        """Return the object with this id, if there is one."""
        return (
            self.adsets.get(object_id)
            or self._ads.get(object_id)
            or self.campaigns.get(object_id)
            or self.accounts.get(object_id)
        )

    # --- time

    def schedule(self, at: float, action: Callable[[float], None]) -> None:
        """Have something happen at Meta at a later time, which `action` is called with."""
        heappush(self._scheduled, (at, next(self._numbers), action))

    @contextmanager
    def at_present(self) -> Iterator[float]:
        """Hold the lock at the present time, with all done that was scheduled until then."""
        with self.lock:
            now = self.now()
            self.catch_up(now)
            yield now

    def catch_up(self, now: float) -> None:
        """Do what was scheduled until then, each at its own time."""
        while self._scheduled and self._scheduled[0][0] <= now:
            at, _, action = heappop(self._scheduled)
            action(at)

    # --- tokens

    def authenticate(self, token: str | None, proof: str | None) -> None:
        """Raise `Refused` unless the token is good and, where a secret is set, its proof right."""
        if token is None:
            raise Refused(faults.error(2500, None, "An active access token must be used to query information"))
        refusal = self.token_refusal(token)
        if refusal is not None:
            raise Refused(refusal)
        if self.app_secret is not None:
            right = hmac.new(self.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            if proof is None or not hmac.compare_digest(proof, right):
                raise Refused(faults.error(100, None, "Invalid appsecret_proof", kind="GraphMethodException"))

    def token_refusal(self, token: str) -> Reply | None:
        """Return what Meta says to this token, or None when it is good."""
        if token in self.dead_tokens:
            return self.dead_tokens[token]
        return None if token in self.tokens else faults.TOKEN_INVALID


def _initial_targeting(states: str | Iterable[str] | None, raw: dict[str, Any] | None) -> dict[str, Any]:
    if (states is None) == (raw is None):
        raise TypeError("give either states or targeting")
    return targeting.realistic(states) if states is not None else targeting.normalised(copy.deepcopy(raw or {}))
