"""Waiting for several answers at once."""

from threading import Barrier, Event, Lock, get_ident

import pytest

from closrads.concurrency import in_background, map_concurrently

SECONDS = 10
"""After which a test that would wait for ever fails."""


class TestMap:
    """The same function for several items."""

    def test_answers_come_in_the_order_of_the_items(self) -> None:
        """Whichever is ready first."""
        ready = Event()

        def answer(number: int) -> int:
            if number:
                ready.set()
            assert ready.wait(SECONDS)
            return number * number

        assert map_concurrently(answer, [0, 1, 2, 3], 2) == [0, 1, 4, 9]

    @pytest.mark.parametrize("items", [[], [7]])
    def test_one_alone_needs_no_other_thread(self, items: list[int]) -> None:
        """Most campaigns' canaries."""
        assert set(map_concurrently(lambda _: get_ident(), items, 5)) <= {get_ident()}

    def test_as_many_as_allowed_are_under_way_at_once_and_no_more(self) -> None:
        """Each waits for two others, so fewer would stand still; the most that were seen together are three."""
        together, lock = Barrier(3), Lock()
        under_way, most = 0, 0

        def call(_: int) -> None:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            together.wait(SECONDS)
            with lock:
                under_way -= 1
            together.wait(SECONDS)

        map_concurrently(call, range(12), 3)

        assert most == 3

    def test_an_error_keeps_no_other_from_its_end(self) -> None:
        """The first of several, by the order of the items, is raised when all are through."""
        done: list[int] = []
        later = Event()

        def call(number: int) -> None:
            if number == 1:
                assert later.wait(SECONDS)
                raise ValueError(number)
            if number == 2:
                later.set()
                raise KeyError(number)
            done.append(number)

        with pytest.raises(ValueError, match="1"):
            map_concurrently(call, range(6), 2)

        assert sorted(done) == [0, 3, 4, 5]


class TestInBackground:
    """One piece of work beside another."""

    def test_it_goes_on_beside_the_body(self) -> None:
        """Neither waits for the other to begin; the answer is there when the body is left."""
        begun, go_on = Event(), Event()

        def work() -> str:
            begun.set()
            assert go_on.wait(SECONDS)
            return "done"

        with in_background(work) as answer:
            assert begun.wait(SECONDS)
            assert not answer.done()
            go_on.set()

        assert answer.done()
        assert answer.result() == "done"

    def test_its_error_is_raised_where_the_answer_is_asked_for(self) -> None:
        """Not before: the body's own work is done by then."""
        with in_background(lambda: 1 // 0) as answer:
            pass

        with pytest.raises(ZeroDivisionError):
            answer.result()

    def test_an_error_of_the_body_waits_for_it(self) -> None:
        """What is under way is not left behind."""
        go_on, ended = Event(), Event()

        def work() -> None:
            assert go_on.wait(SECONDS)
            ended.set()

        def body() -> None:
            with in_background(work):
                go_on.set()
                raise KeyError

        with pytest.raises(KeyError):
            body()

        assert ended.is_set()
