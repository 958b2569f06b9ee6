"""What the tests of the commands and of the ledger have."""

from tests.cli.conftest import business, call, somebody
from tests.cli.doctor.conftest import empty_stack
from tests.ledger.conftest import retrying

__all__ = ["business", "call", "empty_stack", "retrying", "somebody"]
