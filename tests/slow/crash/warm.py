"""Imported once by the process that all invocations are forked from: what a warm container has got ready.

Clients are made and nothing is sent, so no connection is shared.
"""

from closrads import config, notifier
from closrads.ledger import dynamodb
from tests.slow.crash import invocation

__all__ = ["invocation"]

config._parameter_store().client.get_paginator("get_parameters_by_path")
dynamodb._dynamodb().get_paginator("query")
notifier._ses()
