"""A fake of Meta's Marketing API v26.0, limited to what a daily change of ad set regions needs."""

from sandbox.meta import faults
from sandbox.meta.breakage import MISSING_LEAD_FORM, SOFT_WARNING, Breakage, Cure, Effect
from sandbox.meta.model import Ad, AdSet, Operation, Request
from sandbox.meta.world import MetaWorld

__all__ = [
    "MISSING_LEAD_FORM",
    "SOFT_WARNING",
    "Ad",
    "AdSet",
    "Breakage",
    "Cure",
    "Effect",
    "MetaWorld",
    "Operation",
    "Request",
    "faults",
]
