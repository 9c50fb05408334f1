"""Turns, medians, ratios and their noise, with clocks that are told what time it is."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.benchmarks.measure import FEWEST, Contestant, Laps, Pace, Time, interval, noise, race, ratio


class Told:
    """A clock that only goes on when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []

    def __call__(self) -> float:
        return self.now

    def worker(self, name: str, *seconds: float) -> Callable[[], None]:
        """Takes so long in turn, the last for ever after."""
        left = list(seconds)

        def work() -> None:
            self.done.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(time, "perf_counter", told)
    monkeypatch.setattr(time, "monotonic", told)
    return told


def raced(clock: Told, pace: Pace, **seconds: tuple[float, ...]) -> dict[str, Laps]:
    contestants = {name: Contestant(clock.worker(name, *each), clock) for name, each in seconds.items()}
    return race(contestants, pace)


def test_who_begins_changes_from_round_to_round(clock: Told) -> None:
    raced(clock, Pace(rounds=4, seconds=1e9, turn=1.0), a=(1.0,), b=(1.0,))

    warm_up = 4
    assert "".join(clock.done[warm_up:]) == "ab" + "ba" + "ba" + "ab"


def test_everybody_has_a_lap_in_every_round(clock: Told) -> None:
    laps = raced(clock, Pace(rounds=7, seconds=1e9, turn=1.0), a=(1.0,), b=(2.0,), c=(3.0,))

    assert {name: len(each.cpu) for name, each in laps.items()} == {"a": 7, "b": 7, "c": 7}
    assert {name: each.time() for name, each in laps.items()} == {
        "a": Time(cpu_ms=1000, wall_ms=1000),
        "b": Time(cpu_ms=2000, wall_ms=2000),
        "c": Time(cpu_ms=3000, wall_ms=3000),
    }


def test_what_is_short_is_repeated_within_its_turn(clock: Told) -> None:
    laps = raced(clock, Pace(rounds=2, seconds=1e9, turn=1.0), quick=(0.25,), slow=(4.0,))

    assert clock.done.count("quick") == 2 + 2 * 4
    assert clock.done.count("slow") == 2 + 2
    assert laps["quick"].time().cpu_ms == 250


def test_a_race_ends_when_its_time_is_over_but_not_before_the_fewest_rounds(clock: Told) -> None:
    short = raced(clock, Pace(rounds=100, seconds=1.0, turn=1.0), a=(10.0,))
    longer = raced(clock, Pace(rounds=100, seconds=95.0, turn=1.0), a=(10.0,))

    assert len(short["a"].cpu) == FEWEST
    assert len(longer["a"].cpu) == 10


def test_the_ratio_is_of_rounds_so_that_a_slow_spell_of_the_machine_does_not_count() -> None:
    ours, theirs = np.array([1.0, 10.0, 1.0, 1.0, 1.0]), np.array([2.0, 20.0, 2.0, 2.0, 3.0])

    assert ratio(theirs, ours) == 2.0


def test_the_interval_of_a_median_is_found_by_order() -> None:
    assert interval(np.arange(101.0)[::-1]) == (40.0, 61.0)
    assert interval(np.array([3.0])) == (3.0, 3.0)


def test_noise_is_how_far_from_one_a_contestant_is_from_itself() -> None:
    once = np.array([1.02, 0.99] * 30)

    assert noise(once, np.ones(60)) == pytest.approx(0.02)
    assert noise(once, once) == 0


def test_a_lap_has_cpu_and_wall_time_apart() -> None:
    laps = Laps()
    for cpu, wall in ((0.001, 0.004), (0.002, 0.002), (0.003, 0.003)):
        laps.add(cpu, wall)

    assert laps.time() == Time(cpu_ms=2, wall_ms=3)
