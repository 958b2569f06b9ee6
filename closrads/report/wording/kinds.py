"""The building blocks of the boxes, and the sentences that many of them share."""

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
    """What to do, in at most three steps; empty if nobody needs to act."""
    note: str = ""
    """What a reader should know besides the steps."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a raw text means to the reader."""

    kind: Kind
    text: str
    """A predicate about the thing, such as “has lost its lead form”."""
    detail: str = ""
    """The end of the text, with its leading punctuation; the first sentence of the mail omits it."""


FORWARD = f"Forward this mail to {OPERATOR}: the reason is at its end."
RUNS_AS_BEFORE = "The ads still run in the states from before."
TRIED_AGAIN = "The next run tries again."
