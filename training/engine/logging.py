"""The output of a run while it trains: a progress bar, warnings, and the scalars that its writers take."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from types import TracebackType
from typing import Self, TypeAlias

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.engine.scalar_writers import ScalarWriter
from training.engine.validation import PairsResult, Validation

_MEAN_OVER = 20  # steps
_LINE_EVERY = 10  # steps, where there is no terminal for the bar


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """
    Measurements of one step; distances are squared L2.

    `active_share` is the share of the `mined` triplets that violate the margin, `spread` the mean distance of a vector
    to the mean vector, `relations` the mean squared difference of two faces' cosine from that of the teacher's vectors.
    """

    loss: float
    objective: float
    distillation: float
    relations: float
    mined: int
    active_share: float
    genuine_distance: float
    impostor_distance: float
    spread: float
    grad_norm: float
    lr: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class MinedPool:
    """The result of one round: of `pairs` (anchor, positive), `triplets` had a negative."""

    faces: int
    pairs: int
    triplets: int
    embedding_seconds: float
    selection_seconds: float

    def __str__(self) -> str:
        return (
            f"mined {self.triplets} triplets of {self.pairs} positive pairs in a pool of {self.faces} faces: "
            f"{self.embedding_seconds:.1f} s for the vectors, {self.selection_seconds:.1f} s to select"
        )


OnMined: TypeAlias = Callable[[int, MinedPool], None]
"""Is told the step and what was mined for it."""


class RunLogger:
    """Logs one run; of several processes only the main one is `enabled`."""

    def __init__(self, writers: Sequence[ScalarWriter], steps: int, *, first: int = 0, enabled: bool = True) -> None:
        self._writers, self._enabled = writers, enabled
        self._recent: deque[StepMetrics] = deque(maxlen=_MEAN_OVER)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            speed_estimate_period=60,
            disable=not enabled,
        )
        self._task = self._bar.add_task("training", total=steps, completed=first)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        for writer in self._writers:
            writer.close(failed=error is not None)

    def log_step(self, step: int, metrics: StepMetrics) -> None:
        self._recent.append(metrics)
        self._add(asdict(metrics), step)
        self._bar.update(self._task, completed=step + 1, description=_line(metrics))
        if not self._bar.console.is_terminal and (step + 1) % _LINE_EVERY == 0:
            self._print(f"step {step + 1}: {_line(metrics)}")

    def log_validation(self, validation: Validation | None) -> None:
        if validation is None:
            return
        self._add({"auc": validation.auc, "tmr": validation.tmr}, validation.step)
        self._print(f"step {validation.step}: {validation}")

    def log_pairs(self, result: PairsResult | None) -> None:
        if result is None:
            return
        self._add({"pairs/accuracy": result.accuracy, "pairs/val": result.val}, result.step)
        self._print(f"step {result.step}: {result}")

    def log_pool(self, step: int, pool: MinedPool) -> None:
        seconds = {"embedding": pool.embedding_seconds, "selection": pool.selection_seconds}
        self._add({"pool/triplets": pool.triplets, **{f"pool/{name}_s": each for name, each in seconds.items()}}, step)
        self._print(f"step {step}: {pool}")

    def warn(self, warning: str | None) -> None:
        if warning is not None:
            self._print(f"warning: {warning}")

    def mean_metrics(self) -> dict[str, float]:
        """Return the means of the last steps, at most 20."""
        return {
            field.name: fmean(getattr(step, field.name) for step in self._recent)
            for field in fields(StepMetrics)
            if self._recent
        }

    def _print(self, line: str) -> None:
        if self._enabled:
            self._bar.console.print(line, highlight=False)

    def _add(self, values: dict[str, float], step: int) -> None:
        for writer in self._writers:
            for name, value in values.items():
                writer.add_scalar(name, value, step)


def _learned(metrics: StepMetrics) -> str:
    if metrics.mined:
        return f"active {metrics.active_share:.0%} of {metrics.mined}"
    if not metrics.distillation:
        return f"relations {metrics.relations:.4f}"
    return f"cosine to the teacher {1 - metrics.distillation / 2:.3f}"


def _line(metrics: StepMetrics) -> str:
    return (
        f"loss {metrics.loss:.3f} {_learned(metrics)} "
        f"genuine {metrics.genuine_distance:.2f} impostor {metrics.impostor_distance:.2f} "
        f"{metrics.images_per_second:.0f} images/s"
    )
