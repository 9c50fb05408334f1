"""
The learning rate as a function of the step.

Not torch.optim.lr_scheduler: its recursive schedules round differently at every step, and a schedule from a file and
the exact resume would need a LambdaLR over these same functions.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from training.config.loading import UnusableConfig
from training.config.optimizer import OptimizerConfig

Schedule = Callable[[int], float]


def lr_schedule(config: OptimizerConfig) -> Schedule:
    """Return a linear warm-up to the peak, then the schedule of the config. Raises UnusableConfig for a file."""
    after_warmup = SCHEDULES[config.schedule](config)

    def lr(step: int) -> float:
        if step < config.warmup_steps:
            return after_warmup(config.warmup_steps) * (step + 1) / config.warmup_steps
        return after_warmup(step)

    return lr


def read_schedule(path: Path) -> list[tuple[int, float]]:
    """
    Read lines `step: lr` (or `epoch: lr`), ascending from 0; # begins a comment. Raises UnusableConfig naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableConfig(f"optimizer.schedule_file: {path}: {error}") from error
    lines = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    points = [_parse(line, f"{path}, line {number}") for number, line in lines if line]
    steps = [step for step, _ in points]
    if not steps or steps[0] != 0 or steps != sorted(set(steps)):
        raise UnusableConfig(f"{path}: expected steps ascending from 0, got {steps}")
    return points


def _parse(line: str, source: str) -> tuple[int, float]:
    step, _, lr = line.partition(":")
    try:
        point = int(step), float(lr)
    except ValueError:
        raise UnusableConfig(f"{source}: expected 'step: lr', got {line!r}") from None
    if not (point[0] >= 0 and 0 <= point[1] < math.inf):
        raise UnusableConfig(f"{source}: expected a step and a learning rate of at least 0, got {line!r}")
    return point


def _cosine(config: OptimizerConfig) -> Schedule:
    """Fall by half a cosine from the peak to 0 at `steps`."""
    return lambda step: config.lr * 0.5 * (1 + math.cos(math.pi * _progress(step, config)))


def _constant(config: OptimizerConfig) -> Schedule:
    return lambda _: config.lr


def _exponential(config: OptimizerConfig) -> Schedule:
    """Fall by the same factor at every step, from the peak to `decay` of it at `steps`."""
    return lambda step: float(config.lr * config.decay ** _progress(step, config))


def _staircase(config: OptimizerConfig) -> Schedule:
    """Multiply by `decay` after every `decay_epochs`."""
    length = config.decay_epochs * config.epoch_size
    return lambda step: float(config.lr * config.decay ** (step // length))


def _from_file(config: OptimizerConfig) -> Schedule:
    points = read_schedule(config.schedule_file or Path())
    starts = [start for start, _ in points]
    unit = config.epoch_size if config.schedule_unit == "epochs" else 1
    return lambda step: points[bisect_right(starts, step // unit) - 1][1]


def _progress(step: int, config: OptimizerConfig) -> float:
    return (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)


SCHEDULES = {
    "cosine": _cosine,
    "constant": _constant,
    "exponential": _exponential,
    "staircase": _staircase,
    "file": _from_file,
}
