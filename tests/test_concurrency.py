"""Waiting for several answers at once."""

from threading import Event, Lock, get_ident
from time import sleep

import pytest

from closrads.concurrency import map_concurrently


class TestSideBySide:
    """Several calls at once."""

    def test_answers_come_in_the_order_of_the_items(self) -> None:
        """Whichever is ready first."""
        ready = Event()

        def answer(number: int) -> int:
            if number:
                ready.set()
            assert ready.wait(5)
            return number * number

        assert map_concurrently(answer, [0, 1, 2, 3], 2) == [0, 1, 4, 9]

    @pytest.mark.parametrize("items", [[], [7]])
    def test_one_alone_needs_no_other_thread(self, items: list[int]) -> None:
        """Most campaigns' canaries."""
        threads = map_concurrently(lambda _: get_ident(), items, 5)

        assert set(threads) <= {get_ident()}

    def test_not_more_than_allowed_are_under_way(self) -> None:
        """However many items there are."""
        lock, in_background, most = Lock(), [], []

        def call(number: int) -> None:
            with lock:
                in_background.append(number)
                most.append(len(in_background))
            sleep(0.002)
            with lock:
                in_background.remove(number)

        map_concurrently(call, range(20), 3)

        assert max(most) <= 3

    def test_an_error_keeps_no_other_from_its_end(self) -> None:
        """The first of several is raised, when all are through."""
        done = []

        def call(number: int) -> None:
            if number in {1, 2}:
                raise ValueError(number)
            done.append(number)

        with pytest.raises(ValueError, match="1"):
            map_concurrently(call, range(6), 2)

        assert sorted(done) == [0, 3, 4, 5]
