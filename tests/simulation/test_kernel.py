"""Virtual time: who runs when, who waits for whom, and that the dead do nothing any more."""

from collections.abc import Callable

import pytest

from tests.simulation.kernel import Kernel, Killed, Pool, Process, sleep


def run(*bodies: Callable[[], None], seed: int = 0, process: Process | None = None) -> Kernel:
    """Run tasks of one process to their ends, beginning at the time 100."""
    kernel = Kernel(seed, 100.0)
    process = process or Process("a process")
    for body in bodies:
        kernel.spawn(process, body)
    kernel.run()
    return kernel


class TestTime:
    """Time passes only when everybody waits."""

    def test_passes_by_what_a_task_sleeps(self) -> None:
        kernel = run(lambda: sleep(5))
        assert kernel.now == 105

    def test_passes_for_several_at_once(self) -> None:
        kernel = run(lambda: sleep(5), lambda: sleep(7))
        assert kernel.now == 107

    def test_wakes_in_the_order_of_time(self) -> None:
        woken: list[int] = []

        def body(seconds: int) -> Callable[[], None]:
            def wait() -> None:
                sleep(seconds)
                woken.append(seconds)

            return wait

        run(body(3), body(1), body(2))
        assert woken == [1, 2, 3]

    def test_stops_where_it_is_told_to(self) -> None:
        kernel = Kernel(0, 100.0)
        done: list[float] = []
        for moment in (101.0, 102.0, 103.0):
            kernel.at(moment, lambda: done.append(kernel.now))
        kernel.run(until=102)
        assert done == [101, 102]

    def test_leaves_the_order_of_one_moment_to_the_seed(self) -> None:
        def order(seed: int) -> str:
            letters: list[str] = []
            run(*(lambda letter=letter: letters.append(letter) for letter in "abcdef"), seed=seed)
            return "".join(letters)

        assert order(1) == order(1)
        assert len({order(seed) for seed in range(10)}) > 1


class TestDeath:
    """A process that was killed has no effect any more."""

    def test_ends_every_task_of_it_at_once(self) -> None:
        process = Process("a process")
        ended: list[float] = []

        def wait() -> None:
            with pytest.raises(Killed):
                sleep(1000)
            ended.append(kernel.now)

        kernel = Kernel(0, 0.0)
        kernel.spawn(process, wait)
        kernel.spawn(process, wait)
        kernel.at(5, process.kill)
        kernel.run()
        assert ended == [5, 5]

    def test_lets_none_begin_later(self) -> None:
        process = Process("a process")
        process.kill()
        begun: list[str] = []
        run(lambda: begun.append("never"), process=process)
        assert begun == []

    def test_reaches_the_task_that_is_running_when_it_waits_next(self) -> None:
        process = Process("a process")
        done: list[str] = []

        def body() -> None:
            process.kill()
            done.append("still in its own memory")
            sleep(1)
            done.append("never")

        kernel = Kernel(0, 0.0)
        kernel.spawn(process, lambda: _expect_death(body))
        kernel.run()
        assert done == ["still in its own memory"]


class TestPool:
    """What stands in for threads."""

    def test_has_done_everything_when_it_is_left(self) -> None:
        results: list[int] = []

        def body() -> None:
            with Pool(2) as pool:
                futures = [pool.submit(_slow_square, number) for number in (1, 2, 3)]
            results.extend(future.result() for future in futures)

        kernel = run(body)
        assert results == [1, 4, 9]
        assert kernel.now == 102  # two at once, then the third

    def test_passes_an_error_on_to_who_asks_for_the_result(self) -> None:
        raised: list[str] = []

        def fail() -> None:
            raise ValueError("no")

        def body() -> None:
            with Pool(1) as pool:
                future = pool.submit(fail)
            with pytest.raises(ValueError, match="no"):
                future.result()
            raised.append("told")

        run(body)
        assert raised == ["told"]

    def test_does_not_end_a_wait_of_its_owner(self) -> None:
        woken: list[float] = []

        def body() -> None:
            with Pool(1) as pool:
                pool.submit(sleep, 1)
                sleep(5)
                woken.append(kernel.now)

        kernel = Kernel(0, 0.0)
        kernel.spawn(Process("a process"), body)
        kernel.run()
        assert woken == [5]


def _slow_square(number: int) -> int:
    sleep(1)
    return number * number


def _expect_death(body: Callable[[], None]) -> None:
    with pytest.raises(Killed):
        body()
