"""Which fast tests run when: `make test` takes a sample of sweeps over many cases, `make test-all` takes all.

`make test-all` measures the coverage of as many tests as reach all code, and no others: measured, a test takes twice as
long. Neither the cases marked `sweep`, nor Hypothesis's examples, nor the tests named in `UNMEASURED` are measured.
"""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet

UNMEASURED = (
    "tests/sandbox/",  # of the stand-ins
    "tests/simulation/",
    "tests/template/",  # of what is deployed
    "tests/cli/test_policies.py",
    "tests/report/test_conformance.py",
    "tests/report/test_mail_programs.py",
    "tests/report/test_reading.py",
    "tests/report/test_size.py::TestFolded::test_thousands_in_trouble",
    "tests/report/test_size.py::test_the_worst_fits",
    "tests/report/test_words.py",
    "tests/rollout/test_promise.py",
    "tests/test_fault_schedules.py",
    "tests/test_hostile_input.py::test_a_name_does_no_harm_on_its_way_through_everything",
    "tests/test_hostile_input.py::test_deeply_nested_answers_stop_one_campaign_at_most",
    "tests/test_round_trips.py",
    "tests/test_secrets.py",
)
"""How the ids of tests begin that take long and reach no code that others do not reach; they get the mark `no_cover`.

If `make test-all` tells of missing coverage, write a test of that code; do not take a test from this list.
"""


def sampled(cases: Iterable[Any], *, one_in: int) -> list[ParameterSet]:
    """Return the cases of a parametrized test; one in so many is for `make test`, the others are marked `sweep`."""
    params = [case if isinstance(case, ParameterSet) else pytest.param(case) for case in cases]
    return [
        param
        if number % one_in == 0
        else pytest.param(*param.values, id=param.id, marks=(*param.marks, pytest.mark.sweep))
        for number, param in enumerate(params)
    ]
