"""Plays stories, one after the other, in a process that is prepared once."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import handler
from tests.simulation.border import SimulatedAws, installed
from tests.simulation.simulation import Handle, Simulation
from tests.simulation.story import Story


@contextmanager
def player(handle: Handle = handler.handle, *, logs: bool = False) -> Iterator[Callable[[Story], Simulation]]:
    """Put the simulation around the product; yield what plays a story to its end and returns all about it."""
    aws = SimulatedAws()

    def play(story: Story) -> Simulation:
        simulation = Simulation(story, aws, handle)
        simulation.play()
        return simulation

    gc.freeze()  # what is there by now lives to the end
    with installed(aws, logs=logs):
        yield play
