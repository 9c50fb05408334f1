"""What a run shows while it goes: a progress bar, warnings, and TensorBoard."""

from collections import deque
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from training.engine.validation import Validation

_RECENT = 20
_LINE_EVERY = 10  # steps, where there is no terminal to draw a bar on


@dataclass(frozen=True, slots=True)
class Measures:
    """
    Of one step. Distances are squared L2; `active` is the share of the `mined` triplets that violate the margin,
    `spread` the mean distance of a vector to the mean vector.
    """

    loss: float
    objective: float
    anchoring: float
    mined: int
    active: float
    positive: float
    negative: float
    spread: float
    gradient: float
    learning_rate: float
    images_per_second: float


class Journal:
    """Of one run. Of several processes only the first one `shows` anything."""

    def __init__(self, folder: Path, steps: int, *, first: int = 0, shows: bool = True) -> None:
        self._recent: deque[Measures] = deque(maxlen=_RECENT)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first) if shows else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            speed_estimate_period=60,
            disable=not shows,
        )
        self._task = self._bar.add_task("training", total=steps, completed=first)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._board:
            self._board.close()

    def record(self, step: int, measures: Measures) -> None:
        self._recent.append(measures)
        self._add(asdict(measures), step)
        self._bar.update(self._task, completed=step + 1, description=_line(measures))
        if not self._bar.console.is_terminal and (step + 1) % _LINE_EVERY == 0:
            self.say(f"step {step + 1}: {_line(measures)}")

    def validated(self, validation: Validation | None) -> None:
        if validation is None:
            return
        self._add({"auc": validation.auc, "tmr": validation.tmr}, validation.step)
        self.say(f"step {validation.step}: {validation}")

    def warn(self, warning: str | None) -> None:
        if warning is not None:
            self.say(f"warning: {warning}")

    def say(self, line: str) -> None:
        if self._board:
            self._bar.console.print(line, highlight=False)

    def recent(self) -> dict[str, float]:
        """The means of the last steps, at most 20."""
        return {
            one.name: fmean(getattr(step, one.name) for step in self._recent)
            for one in fields(Measures)
            if self._recent
        }

    def _add(self, values: dict[str, float], step: int) -> None:
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)


def _line(measures: Measures) -> str:
    return (
        f"loss {measures.loss:.3f} active {measures.active:.0%} of {measures.mined} same {measures.positive:.2f} "
        f"other {measures.negative:.2f} {measures.images_per_second:.0f} images/s"
    )
