"""What the boxes of the mail are made of, and what they all say alike."""

from dataclasses import dataclass
from enum import StrEnum

OPERATOR = "whoever runs CLOSRADS"


class Who(StrEnum):
    """Who must act."""

    YOU = "you"
    OPERATOR = "operator"
    NOBODY = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What several things in a report have in common: how serious it is, who must act, and how."""

    tone: str
    """`red`, `orange` or `grey`."""
    title: str
    who: Who
    steps: tuple[str, ...] = ()
    """What to do, at most three; without any, nobody needs to do anything."""
    note: str = ""
    """What a reader should know beside the steps."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a raw text means to the reader."""

    kind: Kind
    text: str
    """What is said of the thing, as a predicate such as “has lost its lead form”."""
    detail: str = ""
    """What the first sentence of the mail leaves out, with the punctuation before it."""


FORWARD = f"Forward this mail to {OPERATOR}: the reason is at its end."
RUNS_AS_BEFORE = "The ads still run in the states from before."
TRIED_AGAIN = "The next run tries again."
