"""What the modules of `closrads.report.wording` define, however many they are."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from closrads.report import wording


def wording_values() -> Iterator[object]:
    """Yield every value of every module."""
    for module in iter_modules(wording.__path__, f"{wording.__name__}."):
        yield from vars(import_module(module.name)).values()
