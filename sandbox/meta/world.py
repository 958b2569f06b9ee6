"""`MetaWorld`: what exists at Meta, what was asked of it, and what shall go wrong."""

import copy
import dataclasses
import hashlib
import hmac
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sandbox.meta import breakage, faults, graph, targeting
from sandbox.meta.faults import Refused
from sandbox.meta.front_door import FrontDoor
from sandbox.meta.model import Account, Ad, AdSet, Campaign, Node, Operation, Request
from sandbox.meta.quota import Quota
from sandbox.meta.regions import STATE_BY_KEY
from sandbox.server import Delivery, Served, Server

if TYPE_CHECKING:
    from sandbox.meta.breakage import Breakage
    from sandbox.server import Reply

Matcher = str | Callable[[Operation], bool]

_KINDS: dict[type[Node], str] = {Account: "account", Campaign: "campaign", AdSet: "adset", Ad: "ad"}


@dataclasses.dataclass
class _Fault:
    """A scripted fault that still waits for its operations."""

    reply: "Reply"
    on: Matcher
    times: int | None
    skip: int
    applied: bool

    def matches(self, operation: Operation) -> bool:
        if callable(self.on):
            return self.on(operation)
        return self.on in {"any", operation.kind, f"{operation.method} {operation.kind}"}


class MetaWorld(Served):
    """A stand-in for Meta's Marketing API: its state, its scripted faults and the record of every call.

    All state is behind one lock, so hooks and other threads may change it at any time. `now` gives the time in seconds;
    it drives quotas, time stamps and breakage.
    """

    version = "v26.0"

    def __init__(self, now: Callable[[], float] = time.time, port: int = 0) -> None:
        self.now = now
        self.lock = threading.RLock()
        self._server = Server(self._observed(FrontDoor(self)), port, now)
        self.reset()

    def reset(self) -> None:
        """Empty the world: nothing exists, nothing is scripted, nothing has been asked."""
        self._server.accept()
        self._server.release()
        with self.lock:
            self.accounts: dict[str, Account] = {}
            self.campaigns: dict[str, Campaign] = {}
            self.adsets: dict[str, AdSet] = {}
            self._ads: dict[str, Ad] = {}
            self._ids = itertools.count(120_210_000_000_010_007, 10)
            self._faults: list[_Fault] = []
            self.requests: list[Request] = []
            self.token = "EAAFAKESYSTEMUSER"
            self.dead_tokens: dict[str, Reply] = {}
            self.token_type = "SYSTEM_USER"
            self.token_expires_at = 0
            self.token_data_access_expires_at = 0
            self.token_scopes = ["ads_management", "ads_read", "business_management"]
            self.app_secret: str | None = None
            self.latency = 0.0
            self.latency_per_item = 0.0
            self.page_size: int | None = None
            self.empty_pages = 0
            self.max_rows: int | None = None
            self.too_much_data = faults.REDUCE_DATA
            self.version_warning: str | None = None
            self.on_request: Callable[[Operation], None] | None = None
            self.on_exchange = None

    # --- building

    @property
    def token(self) -> str:
        """The access token to use. Setting it makes it the only accepted one; add others to `tokens`."""
        return self._token

    @token.setter
    def token(self, value: str) -> None:
        self._token = value
        self.tokens = {value}

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
        breakage: "Breakage | None" = None,
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
        breakage: "Breakage | None" = None,
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

    # --- looking, and the hands of other people

    @property
    def ads(self) -> dict[str, Ad]:
        """All ads by id, with everything happened that the clock says; what waits for a read has not (see `settle`)."""
        with self.lock:
            for ad in self._ads.values():
                breakage.time_passed(ad, self.now())
            return self._ads

    def ads_of(self, adset_id: str) -> list[Ad]:
        """Return the ads of an ad set."""
        return [ad for ad in self.ads.values() if ad.adset.id == adset_id]

    def settle(self) -> None:
        """Let every breakage that waits for time or for a read happen now: what is left after this is the truth."""
        with self.lock:
            for ad in self._ads.values():
                if ad.damage is not None:
                    ad.damage.reads = max(ad.damage.reads, ad.damage.breakage.reads)
                    breakage.settle(ad, max(self.now(), ad.damage.breaks_at))

    def states(self, adset_id: str) -> set[str]:
        """Return the codes of the states that an ad set includes now."""
        with self.lock:
            return {STATE_BY_KEY[key] for key in targeting.region_keys(self.adsets[adset_id].targeting)}

    def targeting(self, adset_id: str) -> dict[str, Any]:
        """Return a copy of the targeting of an ad set, as a read of it shows it."""
        with self.lock:
            return copy.deepcopy(self.adsets[adset_id].targeting)

    def change_by_hand(self, adset_id: str, targeting_changes: dict[str, Any]) -> None:
        """Replace top-level keys of the targeting as a person in Ads Manager does, who publishes the ads with it."""
        with self.lock:
            adset = self.adsets[adset_id]
            self.write_targeting(adset, targeting.normalised(adset.targeting | targeting_changes), by_api=False)

    def pause_by_hand(self, ad_id: str) -> None:
        """Pause an ad as a person in Ads Manager does."""
        with self.lock:
            ad = self._ads[ad_id]
            breakage.time_passed(ad, self.now())
            if ad.damage is not None and ad.damage.breakage.effect is breakage.Effect.PAUSED:
                ad.damage = None  # the pause is the person's from now on: nothing but a write ends it
            ad.status, ad.updated_time = "PAUSED", self.now()

    def write_targeting(self, adset: AdSet, new: dict[str, Any], *, by_api: bool) -> None:
        """Replace the targeting; a change of it restarts learning, and one by the API may break ads later."""
        if new == adset.targeting:
            return
        before, after = targeting.region_keys(adset.targeting), targeting.region_keys(new)
        adset.targeting = new
        adset.updated_time = adset.last_significant_edit = self.now()
        adset.learning = "LEARNING"
        if by_api:
            for ad in adset.ads:
                breakage.time_passed(ad, self.now())
                breakage.targeting_written(ad, before, after, self.now())

    def spend(self, account_id: str, points: int) -> None:
        """Use up quota of an ad account, as another program would."""
        with self.lock:
            if (quota := self.accounts[account_id].quota) is not None:
                quota.spend(points)

    # --- scripting

    def fail(
        self, reply: "Reply", on: Matcher = "any", times: int | None = 1, skip: int = 0, *, applied: bool = False
    ) -> None:
        """Answer matching operations with `reply`.

        Parameters
        ----------
        reply
            One of `sandbox.meta.faults`, or any other `Reply`.
        on
            "POST adset", "POST ad", "GET adset", "GET ad", "GET adsets", "GET ads", "GET campaign", ... match an
            operation, alone or as an item of a batch; "batch" matches the envelope of a batch; "any" whatever comes
            first (of a batch, the envelope). Or a function of an `Operation` that says whether it is meant; it is asked
            about envelopes too, as operations of kind "batch" with an empty path.
            A fault of the connection (dropped, stalled, truncated) on an item takes the whole batch answer with it.
        times
            How often; None for always.
        skip
            How many matching operations go well before.
        applied
            Do what was asked first: the answer is lost, the write is not.
        """
        with self.lock:
            self._faults.append(_Fault(reply, on, times, skip, applied))

    def clear_faults(self) -> None:
        """Take back every scripted fault that still waits."""
        with self.lock:
            self._faults.clear()

    def fault_for(self, operation: Operation) -> _Fault | None:
        """Return the scripted fault for this operation, used up by one."""
        for fault in self._faults:
            if fault.times == 0 or not fault.matches(operation):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    # --- the record

    @property
    def round_trips(self) -> int:
        """How many HTTP exchanges there were."""
        return len(self.requests)

    @property
    def operations(self) -> list[Operation]:
        """Every operation in order, those of batches included."""
        return [operation for request in self.requests for operation in request.operations]

    @property
    def writes(self) -> list[Operation]:
        """The operations that changed something, whatever was answered."""
        return [operation for operation in self.operations if operation.applied]

    @property
    def points(self) -> int:
        """The score of all operations: 1 for a read, 3 for a write, refused or not."""
        return sum(operation.points for operation in self.operations)

    # --- what the protocol asks

    def perform(self, operation: Operation, token: str | None, proof: str | None) -> "Reply":
        """Handle one operation from beginning to end."""
        with self.lock:
            operation.kind = self.kind_of(operation.path)
            if self.on_request is not None:
                self.on_request(operation)
            fault = self.fault_for(operation)
            if fault is not None and not fault.applied:
                reply = fault.reply
            else:
                reply = self._answer(operation, token, proof)
                if fault is not None:
                    reply = fault.reply
            operation.status = reply.status if reply.delivery is Delivery.WHOLE else 0
            if "input_token" in operation.params:  # the record holds no token
                operation.params["input_token"] = "***"
            return reply

    def _answer(self, operation: Operation, token: str | None, proof: str | None) -> "Reply":
        usage: tuple[tuple[str, str], ...] = ()
        try:
            self.authenticate(token, proof)
            node = self._find(operation.object_id)
            if node is not None and node.account.quota is not None:
                account, quota = node.account, node.account.quota
                active = sum(ad.effective_status == "ACTIVE" for ad in account.ads)
                refusal = quota.charge(operation.points, active)
                usage = quota.headers(account.id, active)
                if refusal is not None:
                    raise Refused(refusal)  # noqa: TRY301 - all refusals leave by the same way
            reply = graph.answer(self, operation, token or "")
        except Refused as refused:
            reply = refused.reply
        return dataclasses.replace(reply, headers=reply.headers + usage)

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

    def token_refusal(self, token: str) -> "Reply | None":
        """Return what Meta says to this token, or None when it is good."""
        if token in self.dead_tokens:
            return self.dead_tokens[token]
        return None if token in self.tokens else faults.TOKEN_INVALID

    def kind_of(self, path: str) -> str:
        """Name what a path is about."""
        object_id, _, edge = path.partition("/")
        if edge or object_id in {"search", "debug_token"}:
            return edge or object_id
        node = self._find(object_id)
        return "unknown" if node is None else _KINDS[type(node)]

    def node(self, object_id: str) -> Node:
        """Return the object with this id; raise `Refused` as Meta does when there is none."""
        node = self._find(object_id)
        if node is None:
            raise Refused(faults.OBJECT_MISSING)
        return node

    def _find(self, object_id: str) -> Node | None:
        return (
            self.adsets.get(object_id)
            or self._ads.get(object_id)
            or self.campaigns.get(object_id)
            or self.accounts.get(object_id)
        )


def _initial_targeting(states: str | Iterable[str] | None, raw: dict[str, Any] | None) -> dict[str, Any]:
    if (states is None) == (raw is None):
        raise TypeError("give either states or targeting")
    return targeting.realistic(states) if states is not None else targeting.normalised(raw or {})
