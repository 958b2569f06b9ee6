"""What the fast tests of the sandbox have, over HTTP."""

from tests.meta.test_graph import adset
from tests.sandbox.conftest import graph, meta
from tests.sandbox.test_aws import aws
from tests.sandbox.test_closrtech import partner
from tests.test_secrets import business, leaks

__all__ = ["adset", "aws", "business", "graph", "leaks", "meta", "partner"]
