"""
Time several ways of doing one thing, alternately.

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
    """Milliseconds of one call: medians over rounds."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """
    `cpu` is the clock of the process that does the work: this one, unless a server does it. `times` is how often one
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
    """A race ends after `rounds` or `seconds`; a turn repeats a call that is shorter than `turn`."""

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
    """Return the laps of each contestant, equally many. Each has run once before, unmeasured."""
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
    """Return the distance from 1 of the farther end of the 95 % interval of the median ratio of equal contestants."""
    return max(abs(end - 1) for end in interval(once / again))


def interval(values: Seconds) -> tuple[float, float]:
    """Return the 95 % interval of their median, from the order of the values."""
    ordered, count = np.sort(values), len(values)
    reach = _Z * np.sqrt(count) / 2
    low, high = int(np.floor(count / 2 - reach)), int(np.ceil(count / 2 + reach))
    return float(ordered[max(0, low)]), float(ordered[min(count - 1, high)])


def _order(names: list[str], number: int) -> Iterator[str]:
    """Return another first name each round, and another direction every other round."""
    start, backwards = divmod(number, 2)
    turned = itertools.islice(itertools.cycle(names), start % len(names), start % len(names) + len(names))
    return reversed(list(turned)) if backwards else turned


def _calls_a_turn(contestant: Contestant, turn: float) -> int:
    contestant.call()
    _, wall = _turn(contestant, 1)
    return max(1, round(turn / max(wall * contestant.times, 1e-7)))


def _turn(contestant: Contestant, calls: int) -> tuple[float, float]:
    """Return the CPU and wall seconds of one call."""
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
