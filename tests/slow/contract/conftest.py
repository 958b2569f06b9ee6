"""What the tests of the commands have."""

from tests.cli.conftest import business, call, somebody

__all__ = ["business", "call", "somebody"]
