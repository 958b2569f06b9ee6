"""Stories that once went wrong, as small as they go.

`python -m tests.simulation --seed N --shrink` makes one small and prints it as it stands here.
"""

from collections.abc import Mapping

from tests.simulation.story import Story

REGRESSIONS: Mapping[str, Story] = {}
