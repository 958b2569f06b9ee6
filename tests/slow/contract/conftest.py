"""What the tests of the commands and of the ledger have."""

from tests.cli.conftest import business, call, somebody
from tests.ledger.conftest import retrying

__all__ = ["business", "call", "retrying", "somebody"]
