"""Local fakes of Meta, CLOSRTECH and AWS, for `make demo`, the tests and manual experiments."""

from sandbox.aws import AwsWorld, Mail
from sandbox.closrtech import ClosrtechWorld
from sandbox.meta import Breakage, MetaWorld, faults
from sandbox.sandbox import Sandbox
from sandbox.scenarios import SCENARIOS

__all__ = ["SCENARIOS", "AwsWorld", "Breakage", "ClosrtechWorld", "Mail", "MetaWorld", "Sandbox", "faults"]
