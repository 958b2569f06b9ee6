"""Builders for a small business in the sandbox, and the ways in that tests use."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import pytest

import handler
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.settings import ClosrtechLogin
from closrads.facebook_client import get_active_adsets, init_api
from closrads.meta.graph import GraphApi, UsageMeter
from closrads.redaction import Secret
from sandbox import Sandbox
from tests.fake_time import START, FakeTime

__all__ = ["LIVE", "MORTGAGE_1", "MORTGAGE_2", "START", "VETERANS", "FakeTime", "World", "ids"]

VETERANS, MORTGAGE_1, MORTGAGE_2 = "120200000000000900", "120200000000000910", "120200000000000920"
LIVE = {"dry_run": False}


@dataclass
class World:
    """A business with the campaigns that a test adds, and short-cuts to run and to look."""

    sandbox: Sandbox
    time: FakeTime
    parameters: dict[str, str | Iterable[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sandbox.aws.verify_sender("reports@example.test")
        self.put(
            {
                "closrtech/base_url": self.sandbox.closrtech.url,
                "closrtech/email": self.sandbox.closrtech.email,
                "closrtech/password": self.sandbox.closrtech.password,
                "meta/access_token": self.sandbox.meta.token,
                "email/sender": "reports@example.test",
                "email/recipients": ["owner@example.test"],
            }
        )

    @property
    def meta(self) -> Any:
        """Meta's side of the sandbox."""
        return self.sandbox.meta

    def put(self, parameters: dict[str, str | Iterable[str]]) -> None:
        """Put parameters, named relative to the path."""
        self.sandbox.aws.put_parameters(parameters)

    def campaign(
        self,
        demand: str | dict[str, Any],
        slug: str = "veterans",
        meta_campaigns: Iterable[str] = (VETERANS,),
        account: str = "act_111",
    ) -> None:
        """Add a campaign whose CLOSRTECH feed wants `demand`: "FL GA", or numbers by state."""
        code = f"VND_{slug.upper()}_LEADS"
        wanted = dict.fromkeys(demand.split(), 5) if isinstance(demand, str) else demand
        self.sandbox.closrtech.demand[code] = wanted
        for meta_campaign in meta_campaigns:
            self.meta.add_campaign(meta_campaign, account=account, name=f"{slug} leads")
        self.put(
            {
                f"campaigns/{slug}/closrtech_campaign": code,
                f"campaigns/{slug}/fb_ad_account_id": account,
                f"campaigns/{slug}/fb_campaign_ids": list(meta_campaigns),
            }
        )

    def adset(self, name: str = "Broad", states: str | None = "TX", *, campaign: str = VETERANS, **more: Any) -> str:
        """Add an ad set with two healthy lead ads and return its id."""
        adset_id: str = self.meta.add_adset(campaign, name, states, **more)
        return adset_id

    def run(self, event: Any = None) -> dict[str, Any]:
        """Hand an event to the real handler."""
        return handler.handle({} if event is None else event, self.time.clock)

    def api(self, **more: Any) -> GraphApi:
        """Return an api object for the sandbox's Meta."""
        parts = {"graph_url": self.meta.url, "clock": self.time.clock, "meter": UsageMeter(), **more}
        return init_api(self.meta.token, "act_111", **parts)

    def snapshots(self, campaign: str = VETERANS) -> list[AdSetSnapshot]:
        """Read a Meta campaign's ad sets."""
        return list(get_active_adsets(self.api(), campaign))

    def slow_down(self, seconds: float) -> None:
        """Have each exchange with Meta take so long; those that are under way at once take it together."""
        begun: dict[int, float] = {}

        def take_time(moment: str) -> None:
            if moment == "before":
                begun[get_ident()] = self.time.seconds()
            else:
                self.time.reach(begun[get_ident()] + seconds)

        self.meta.on_exchange = take_time

    @property
    def login(self) -> ClosrtechLogin:
        """The right login for the sandbox's CLOSRTECH."""
        closrtech = self.sandbox.closrtech
        return ClosrtechLogin(closrtech.url, Secret(closrtech.email), Secret(closrtech.password))

    def written_adsets(self) -> list[str]:
        """Return the ids of the ad sets that were written, in order."""
        return [operation.object_id for operation in self.meta.writes if operation.kind == "adset"]


def ids(cases: Sequence[tuple[str, Any]]) -> list[Any]:
    """Name the cases of a parametrized test."""
    return [pytest.param(value, id=name) for name, value in cases]
