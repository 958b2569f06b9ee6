"""What the fast tests of the template have."""

from tests.template.conftest import expanded

__all__ = ["expanded"]
