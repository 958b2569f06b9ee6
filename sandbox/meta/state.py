"""The objects at Meta, and the settings of its API."""

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
from sandbox.meta.subscriptions import Subscriptions
from sandbox.server import Reply

Oddity = Callable[[dict[str, Any]], dict[str, Any]]
"""Transforms an object in a response; see `sandbox.meta.oddities`."""

_KINDS: dict[type[Node], str] = {Account: "account", Campaign: "campaign", AdSet: "adset", Ad: "ad"}


class State:
    """Accounts, campaigns, ad sets and ads, access tokens, and the behaviour of the API.

    Everything is protected by one lock, so that hooks and other threads may change it at any time. `now` returns the
    time in seconds; it drives quotas, timestamps and breakage.
    """

    version = "v26.0"

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Delete all objects, and reset every setting to its default."""
        self.accounts: dict[str, Account] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.adsets: dict[str, AdSet] = {}
        self._ads: dict[str, Ad] = {}
        self._ids = itertools.count(120_210_000_000_010_007, 10)
        self._scheduled: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()

        self.token = "EAAFAKESYSTEMUSER"
        self.dead_tokens: dict[str, Reply] = {}
        """Invalid tokens, with Meta's response to each."""
        self.token_type = "SYSTEM_USER"
        self.token_expires_at = 0
        self.token_data_access_expires_at = 0
        self.token_scopes = ["ads_management", "ads_read", "business_management"]
        self.subscriptions = Subscriptions()
        """Who gets which pushes."""
        self.holds: dict[str, Reply] = {}
        """By account, Meta's answer to each of its writes until a person has settled something in Ads Manager.

        Reads go on, and every campaign still is ACTIVE (as users of the API have reported of accounts without a payment
        method, or whose owner had to authenticate).
        """
        self.app_secret: str | None = None
        """If set, every call needs a proof."""

        self.latency = 0.0
        """Real seconds per exchange, including its processing."""
        self.latency_per_item = 0.0
        """Additional seconds per item of a batch."""
        self.page_size: int | None = None
        """Maximum page size, regardless of `limit`."""
        self.empty_pages = 0
        """Number of empty pages before each page with rows."""
        self.unlisted: set[str] = set()
        """Ids of objects that the lists of their campaign omit, although those of their ad set have them: Meta has
        returned empty lists for a campaign that has ads (facebook-python-business-sdk #112)."""
        self.hidden: set[str] = set()
        """Ids of objects that every list omits, although they can be read by id: our own assumption, from the same."""
        self.max_rows: int | None = None
        """Maximum number of rows in a response, including nested ones; beyond it, the response is `too_much_data`."""
        self.too_much_data = faults.REDUCE_DATA
        self.read_oddity: Oddity | None = None
        """Transforms a copy of each object in reads."""
        self.echo_oddity: Oddity | None = None
        """Transforms a copy of the object in the response to a write with `fields`."""
        self.store_oddity: Oddity | None = None
        """Transforms a copy of each targeting that the owner of the token writes, before it is stored."""
        self.version_warning: str | None = None
        """Value of the header by which Meta announces the end of a version."""

    @property
    def url(self) -> str:
        """Base URL of paging links, without a trailing slash."""
        return "https://graph.facebook.com"

    @property
    def token(self) -> str:
        """The access token to use. Setting it makes it the only valid one; further ones can be added to `tokens`."""
        return self._token

    @token.setter
    def token(self, value: str) -> None:
        self._token = value
        self.tokens = {value}

    # --- building

    def add_account(self, account_id: str, tier: str | None = "full") -> Account:
        """Add an ad account or change its tier: "full" has 9000 points per 300 s, "limited" 60, None no limit."""
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
        """Add a Meta campaign and, if necessary, its ad account; return the campaign's id."""
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

    def add_adset(  # noqa: PLR0913 - all but the first two have defaults
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
        """Add an ad set with a number of healthy lead ads; return its id.

        `states` ("FL GA", or codes) generates a complete targeting for US lead forms; `targeting` sets it explicitly.
        `breakage` is the effect of a targeting write on each ad.
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

    def add_ad(  # noqa: PLR0913 - all but the first two have defaults
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
        """Return the kind of operation for a path."""
        object_id, _, edge = path.partition("/")
        if edge or object_id in {"search", "debug_token"}:
            return edge or object_id
        node = self.find(object_id)
        return "unknown" if node is None else _KINDS[type(node)]

    def node(self, object_id: str) -> Node:
        """Return the object with this id; raise `Refused` as Meta does if there is none."""
        node = self.find(object_id)
        if node is None:
            raise Refused(faults.OBJECT_MISSING)
        return node

    def find(self, object_id: str) -> Node | None:
        """Return the object with this id; None if there is none."""
        return (
            self.adsets.get(object_id)
            or self._ads.get(object_id)
            or self.campaigns.get(object_id)
            or self.accounts.get(object_id)
        )

    # --- time

    def schedule(self, at: float, action: Callable[[float], None]) -> None:
        """Schedule an action at Meta, which is called with its time."""
        heappush(self._scheduled, (at, next(self._numbers), action))

    @contextmanager
    def at_present(self) -> Iterator[float]:
        """Hold the lock at the current time, after all actions that are due."""
        with self.lock:
            now = self.now()
            self.catch_up(now)
            yield now

    def catch_up(self, now: float) -> None:
        """Run the scheduled actions that are due, each with its own time."""
        while self._scheduled and self._scheduled[0][0] <= now:
            at, _, action = heappop(self._scheduled)
            action(at)

    # --- tokens

    def authenticate(self, token: str | None, proof: str | None) -> None:
        """Raise `Refused` unless the token is valid and, if a secret is set, its proof is correct."""
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
        """Return Meta's response to an invalid token; None if it is valid."""
        if token in self.dead_tokens:
            return self.dead_tokens[token]
        return None if token and token in {*self.tokens, self.subscriptions.app_token} else faults.TOKEN_INVALID


def _initial_targeting(states: str | Iterable[str] | None, raw: dict[str, Any] | None) -> dict[str, Any]:
    if (states is None) == (raw is None):
        raise TypeError("give either states or targeting")
    return targeting.realistic(states) if states is not None else targeting.normalised(copy.deepcopy(raw or {}))
