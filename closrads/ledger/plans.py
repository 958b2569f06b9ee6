"""The plans of dry runs, kept so that a live run can be held to one of them."""

from closrads.domain.plan_id import Plan
from closrads.errors import LedgerItemTooLargeError
from closrads.ledger.dynamodb import Table
from closrads.ledger.records import MAX_ITEM_BYTES, plan_item, plan_key, plan_of, size_of


class Plans:
    """The plans of the dry runs of the last month.

    Every method raises a `LedgerError` if DynamoDB fails.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def keep(self, plan: Plan) -> None:
        """Keep a plan; an equal one is replaced.

        Raises
        ------
        LedgerItemTooLargeError
            It changes too many ad sets.
        """
        item = plan_item(plan, self._table.clock.now())
        if size_of(item) > MAX_ITEM_BYTES:
            raise LedgerItemTooLargeError(f"The plan of {len(plan.changes)} changes is too large to be kept")
        self._table.put(item)

    def find(self, plan_id: str) -> Plan | None:
        """Return the plan with this id; None if there is none."""
        item = self._table.get(plan_key(plan_id))
        return plan_of(item) if item else None
