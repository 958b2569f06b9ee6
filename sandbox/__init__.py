"""Local stand-ins for Meta, CLOSRTECH and AWS: what `make demo`, the tests and curious people run against."""

from sandbox.aws import AwsWorld, Mail
from sandbox.closrtech import ClosrtechWorld
from sandbox.meta import Breakage, MetaWorld, faults
from sandbox.sandbox import Sandbox
from sandbox.scenarios import SCENARIOS

__all__ = ["SCENARIOS", "AwsWorld", "Breakage", "ClosrtechWorld", "Mail", "MetaWorld", "Sandbox", "faults"]
