"""What other people and programs do to the account while nobody looks."""

import copy
from typing import Any

from sandbox.meta import edits
from sandbox.meta.activity_log import PERSON
from sandbox.meta.state import State
from sandbox.meta.targeting import normalised


class People(State):
    """The hands of others: what they change is no request, and stands in no record of requests."""

    def change_by_hand(self, adset_id: str, targeting_changes: dict[str, Any]) -> None:
        """Replace top-level keys of the targeting as a person in Ads Manager does, who publishes the ads with it."""
        with self.lock:
            adset = self.adsets[adset_id]
            new = normalised(copy.deepcopy(adset.targeting | targeting_changes))
            edits.write_targeting(adset, new, PERSON, self.now(), published=True)

    def pause_by_hand(self, ad_id: str) -> None:
        """Pause an ad as a person in Ads Manager does."""
        with self.lock:
            edits.set_status(self._ads[ad_id], "PAUSED", PERSON, self.now())

    def spend(self, account_id: str, points: int) -> None:
        """Use up quota of an ad account, as another program would."""
        with self.lock:
            if (quota := self.accounts[account_id].quota) is not None:
                quota.spend(points)
