"""Imported once by the process that all invocations are forked from: what a warm container has got ready.

It has carried out an event, so all is imported, compiled and looked up that an invocation needs. Then it has hung up,
for no two processes may share a connection, and has forgotten the parameters, so that each invocation reads them.
"""

import gc
import os

from closrads import config, notifier
from closrads.ledger import dynamodb
from tests.slow.crash.invocation import SHIFT, ending_of, log_nowhere

log_nowhere()
ending = ending_of({"action": "sync", "dry_run": False}, float(os.environ[SHIFT]))
if not ending.result:
    raise RuntimeError(ending.text)
config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
for client in (config._parameter_store().client, dynamodb._dynamodb(), notifier._ses()):
    client.close()
gc.collect()
gc.freeze()  # else the first collection in each process would copy what they share
