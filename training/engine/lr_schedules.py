"""The learning rate as a function of the step."""

import math
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from training.config.loading import UnusableConfig
from training.config.schema import OptimiserConfig

Schedule = Callable[[int], float]


def schedule(config: OptimiserConfig) -> Schedule:
    """A linear rise over `warm_up` steps to the peak, then what the config says; UnusableConfig of a schedule file."""
    after = _AFTER[config.schedule](config)

    def rate(step: int) -> float:
        if step < config.warm_up:
            return after(config.warm_up) * (step + 1) / config.warm_up
        return after(step)

    return rate


def read_schedule(path: Path) -> list[tuple[int, float]]:
    """Lines `step: rate`, steps rising from 0; # begins a comment. UnusableConfig names the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableConfig(f"optimiser.schedule_file: {path}: {error}") from error
    lines = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    points = [_point(line, f"{path}, line {number}") for number, line in lines if line]
    steps = [step for step, _ in points]
    if not steps or steps[0] != 0 or steps != sorted(set(steps)):
        raise UnusableConfig(f"{path}: want steps that rise from 0, got {steps}")
    return points


def _point(line: str, place: str) -> tuple[int, float]:
    step, _, rate = line.partition(":")
    try:
        point = int(step), float(rate)
    except ValueError:
        raise UnusableConfig(f"{place}: want 'step: rate', got {line!r}") from None
    if not (point[0] >= 0 and 0 <= point[1] < math.inf):
        raise UnusableConfig(f"{place}: want a step and a rate of at least 0, got {line!r}")
    return point


def _cosine(config: OptimiserConfig) -> Schedule:
    """Half a cosine, from the peak down towards 0 at `steps`."""
    return lambda step: config.learning_rate * 0.5 * (1 + math.cos(math.pi * _done(step, config)))


def _constant(config: OptimiserConfig) -> Schedule:
    return lambda _: config.learning_rate


def _exponential(config: OptimiserConfig) -> Schedule:
    """The same factor each step, from the peak to `decay` of it at `steps`."""
    return lambda step: float(config.learning_rate * config.decay ** _done(step, config))


def _from_file(config: OptimiserConfig) -> Schedule:
    points = read_schedule(config.schedule_file or Path())
    steps = [step for step, _ in points]
    return lambda step: points[bisect_right(steps, step) - 1][1]


def _done(step: int, config: OptimiserConfig) -> float:
    return (step - config.warm_up) / max(config.steps - config.warm_up, 1)


_AFTER = {"cosine": _cosine, "constant": _constant, "exponential": _exponential, "file": _from_file}
