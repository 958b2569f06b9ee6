"""Sweeps over many cases, of which `make test` takes a sample and `make test-all` all."""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def sampled(cases: Iterable[Any], *, one_in: int) -> list[ParameterSet]:
    """Return the cases of a parametrized test; one in so many is for `make test`, the others are marked `sweep`."""
    params = [case if isinstance(case, ParameterSet) else pytest.param(case) for case in cases]
    return [
        param
        if number % one_in == 0
        else pytest.param(*param.values, id=param.id, marks=(*param.marks, pytest.mark.sweep))
        for number, param in enumerate(params)
    ]
