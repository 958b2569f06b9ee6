"""What the fast tests of the commands have, for processes that come in over HTTP."""

from tests.cli.conftest import business
from tests.cli.test_parameters import legacy

__all__ = ["business", "legacy"]
