"""
Two ways of doing one thing, timed in turns.

A machine's speed drifts: by neighbours, by heat, by its clock. So contestants take turns, in an order that changes from
round to round, and what is compared is the median of the ratios within rounds. How far such a ratio is off by chance is
measured too, by letting one contestant run against itself.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

Seconds = npt.NDArray[np.float64]
Clock = Callable[[], float]
FEWEST = 5
"""Rounds, however long they take."""
_Z = 1.96  # of the normal distribution, for 95 %


class Time(BaseModel, frozen=True):
    """Of one call, in milliseconds: medians over rounds."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """
    `cpu` is the clock of whoever does the work: of this process, unless a server does it. `times` says how often one
    call does what is measured.
    """

    call: Callable[[], object]
    cpu: Clock = time.process_time
    times: int = 1


class Laps:
    """CPU and wall seconds of one call of one contestant, a pair a round."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, float]] = []

    @property
    def cpu(self) -> Seconds:
        return np.array(self.turns)[:, 0]

    @property
    def wall(self) -> Seconds:
        return np.array(self.turns)[:, 1]

    def time(self) -> Time:
        return Time(cpu_ms=1000 * float(np.median(self.cpu)), wall_ms=1000 * float(np.median(self.wall)))


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a race is: until `rounds` are run or `seconds` are over; a turn repeats what is shorter than `turn`."""

    rounds: int = 41
    seconds: float = 8.0
    turn: float = 0.02


@dataclass(frozen=True, slots=True)
class Effort:
    """`seconds` bounds each comparison, and each spell of load; `requests` is the length of the memory benchmark."""

    seconds: float = 8.0
    requests: int = 1000
    starts: int = 5

    @property
    def pace(self) -> Pace:
        return Pace(seconds=self.seconds)


def race(contestants: Mapping[str, Contestant], pace: Pace) -> dict[str, Laps]:
    """Every contestant's laps; all have the same number. Each has run once before, unmeasured."""
    calls = {name: _calls_a_turn(contestant, pace.turn) for name, contestant in contestants.items()}
    laps = {name: Laps() for name in contestants}
    until = time.monotonic() + pace.seconds
    with _without_collector():
        for number in range(pace.rounds):
            if number >= FEWEST and time.monotonic() > until:
                break
            for name in _order(list(contestants), number):
                laps[name].turns.append(_turn(contestants[name], calls[name]))
    return laps


def ratio(of: Seconds, to: Seconds) -> float:
    """The median over rounds of `of` / `to`."""
    return float(np.median(of / to))


def noise(once: Seconds, again: Seconds) -> float:
    """How far the ratio of two equal contestants may be from 1: the farther end of its median's 95 % interval."""
    return max(abs(end - 1) for end in interval(once / again))


def interval(values: Seconds) -> tuple[float, float]:
    """Of their median, 95 %, by the order of the values alone."""
    ordered, count = np.sort(values), len(values)
    reach = _Z * np.sqrt(count) / 2
    low, high = int(np.floor(count / 2 - reach)), int(np.ceil(count / 2 + reach))
    return float(ordered[max(0, low)]), float(ordered[min(count - 1, high)])


def _order(names: list[str], number: int) -> Iterator[str]:
    """Who begins changes, and in every other turn of that the direction."""
    start, backwards = divmod(number, 2)
    turned = itertools.islice(itertools.cycle(names), start % len(names), start % len(names) + len(names))
    return reversed(list(turned)) if backwards else turned


def _calls_a_turn(contestant: Contestant, turn: float) -> int:
    contestant.call()
    _, wall = _turn(contestant, 1)
    return max(1, round(turn / max(wall * contestant.times, 1e-7)))


def _turn(contestant: Contestant, calls: int) -> tuple[float, float]:
    """CPU and wall seconds of doing it once."""
    cpu, wall = contestant.cpu(), time.perf_counter()
    for _ in range(calls):
        contestant.call()
    done = calls * contestant.times
    return (contestant.cpu() - cpu) / done, (time.perf_counter() - wall) / done


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
