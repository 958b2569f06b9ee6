"""`MetaWorld`: the objects at Meta, the record of calls, and the scripted faults."""

import copy
import math
import time
from collections.abc import Callable
from typing import Any

from sandbox.meta import post_processing, targeting
from sandbox.meta.front_door import FrontDoor
from sandbox.meta.model import Ad
from sandbox.meta.people import People
from sandbox.meta.regions import STATE_BY_KEY
from sandbox.meta.service import Service
from sandbox.server import Served, Server


class MetaWorld(Served, People, Service):
    """A fake of Meta's Marketing API: its state, its scripted faults and the record of every call.

    `now` returns the time in seconds. Without `start` there is no server: `FrontDoor(world)` handles requests in
    process.
    """

    def __init__(self, now: Callable[[], float] = time.time, port: int = 0) -> None:
        super().__init__(now)
        self._server = Server(self._observed(FrontDoor(self)), port, now)

    def reset(self) -> None:
        """Clear all objects, scripts and records."""
        self._server.accept()
        self._server.release()
        with self.lock:
            self.clear()
            self.on_exchange = None

    @property
    def ads(self) -> dict[str, Ad]:
        """All ads by id, with everything applied that depends on time; `settle` also applies what depends on reads."""
        with self.at_present() as now:
            for ad in self._ads.values():
                post_processing.time_passed(ad, now)
            return self._ads

    def ads_of(self, adset_id: str) -> list[Ad]:
        """Return the ads of an ad set."""
        return [ad for ad in self.ads.values() if ad.adset.id == adset_id]

    def settle(self) -> None:
        """Apply everything that is pending on time or reads, which yields the final state."""
        with self.lock:
            self.catch_up(math.inf)
            for ad in self._ads.values():
                if ad.damage is not None:
                    ad.damage.reads = max(ad.damage.reads, ad.damage.breakage.reads)
                    post_processing.settle(ad, max(self.now(), ad.damage.breaks_at))

    def link_is_confirmed(self, ad_id: str) -> bool:
        """Return whether the link of an ad to its lead form is permanent, regardless of what a read shows."""
        return post_processing.link_is_confirmed(self.ads[ad_id])

    def truly_healthy(self, ad_id: str) -> bool:
        """Return whether an ad runs, and stays so as long as nobody changes anything."""
        return post_processing.is_truly_healthy(self.ads[ad_id])

    def states(self, adset_id: str) -> set[str]:
        """Return the state codes that an ad set currently includes."""
        with self.at_present():
            return {STATE_BY_KEY[key] for key in targeting.region_keys(self.adsets[adset_id].targeting)}

    def targeting(self, adset_id: str) -> dict[str, Any]:
        """Return a copy of an ad set's targeting, as a read shows it."""
        with self.at_present():
            return copy.deepcopy(self.adsets[adset_id].targeting)
