"""
Signs of a failing run, seen in the metrics of its steps: the run stops, or warns, and the message says what to change.

A symptom must last; `patience` is the config's, in steps.
- Collapsed: all faces get almost the same vector. Either spread < 0.002 for `patience` steps, and its mean over the
  second half of them is at most 1.5 times that over the first half, so that nothing drives the vectors apart; or the
  triplet loss is within 5 % of its margin with spread < 0.05 for 10 x `patience` steps. (With hard triplets many runs
  recover from 50 to 200 steps with a spread about 0.01.)
- AtChance: genuine and impostor pairs are equally far apart, to 2 %, in the mean over 4 x `patience` steps and over the
  later half of them, which would differ in a run that begins to learn. Means, because single steps are noisy: in a
  batch of 16 faces the two differ by 15 % by chance.
- Diverged: the mean loss of `patience` steps is twice that of the first ones, and twice chance. (A loss that is not
  finite stops the run at once, in `train_step`.)
- A warning: no triplet has violated the margin for `patience` steps.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

from training.config.losses import LossConfig
from training.engine.checkpoints import State
from training.engine.logging import StepMetrics
from training.engine.train_step import Diverged
from training.errors import TrainingError
from training.losses.objectives import LOSSES

COLLAPSED_SPREAD, RECOVERING = 0.002, 1.5
STUCK_SPREAD, STUCK_TO_MARGIN, STUCK_PATIENCE = 0.05, 0.05, 10
CHANCE_GAP, CHANCE_PATIENCE = 0.02, 4
DIVERGED = 2.0


class Collapsed(TrainingError):
    """All embeddings are equal."""


class AtChance(TrainingError):
    """The embedding does not distinguish people."""


@dataclass(slots=True)
class SymptomCounts:
    """The number of consecutive steps that each symptom has lasted."""

    stuck: int = 0
    no_active_triplet: int = 0


@dataclass(slots=True)
class HealthChecks:
    """Checks one run; `check` must see every step. A patience of 0 disables all checks."""

    loss: LossConfig
    patience: int
    pretraining_steps: int = 0
    counts: SymptomCounts = field(default_factory=SymptomCounts)
    spreads: deque[float] = field(default_factory=deque)
    distances: deque[tuple[float, float]] = field(default_factory=deque)  # of genuine and of impostor pairs
    first_losses: list[float] = field(default_factory=list)
    last_losses: deque[float] = field(default_factory=deque)

    def check(self, step: int, metrics: StepMetrics) -> str | None:
        """Return a warning, if there is one; raise Collapsed, AtChance or Diverged."""
        if not self.patience:
            return None
        self._check_collapse(step, metrics)
        self._check_chance(step, metrics)
        self._check_divergence(step, metrics)
        return self._inactivity_warning(metrics)

    def state_dict(self) -> State:
        return {
            "counts": asdict(self.counts),
            "spreads": list(self.spreads),
            "distances": list(self.distances),
            "first_losses": self.first_losses,
            "last_losses": list(self.last_losses),
        }

    def load_state_dict(self, state: State) -> None:
        self.counts, self.spreads = SymptomCounts(**state["counts"]), deque(state["spreads"])
        self.distances = deque((genuine, impostor) for genuine, impostor in state["distances"])
        self.first_losses, self.last_losses = state["first_losses"], deque(state["last_losses"])

    def _check_collapse(self, step: int, metrics: StepMetrics) -> None:
        self.counts.stuck = self.counts.stuck + 1 if self._is_stuck(step, metrics) else 0
        flat, stuck = self._is_flat(metrics.spread), self.counts.stuck >= STUCK_PATIENCE * self.patience
        if flat or stuck:
            steps = self.patience if flat else self.counts.stuck
            raise Collapsed(
                f"collapsed: for {steps} steps, at step {step}, all faces have had almost the same vector (spread "
                f"{metrics.spread:.1g} of 1, loss {metrics.objective:.3f}, margin {self.loss.margin:g}): "
                f"lower optimizer.lr{self._miner_advice()}, and start again{self._label_advice()}{self._pair_advice()}"
            )

    def _is_flat(self, spread: float) -> bool:
        self.spreads.append(spread)
        if len(self.spreads) > self.patience:
            self.spreads.popleft()
        if len(self.spreads) < self.patience or max(self.spreads) >= COLLAPSED_SPREAD:
            return False
        spreads, half = list(self.spreads), (self.patience + 1) // 2
        return fmean(spreads[-half:]) <= RECOVERING * fmean(spreads[:half])

    def _is_stuck(self, step: int, metrics: StepMetrics) -> bool:
        distance = abs(metrics.objective - self.loss.margin) / self.loss.margin
        triplet_loss = self.loss.kind == "triplet" and step >= self.pretraining_steps
        return triplet_loss and distance < STUCK_TO_MARGIN and metrics.spread < STUCK_SPREAD

    def _miner_advice(self) -> str:
        return ", set loss.miner to 'semi-hard'" if self.loss.miner in ("batch-hard", "violating") else ""

    def _label_advice(self) -> str:
        return "; check that each folder holds one person" if self.loss.kind == "contrastive" else ""

    def _pair_advice(self) -> str:
        """Return what else to change in a Siamese network, whose accuracy then stays at 0.5."""
        if self.loss.kind != "contrastive":
            return ""
        return (
            "; for transfer learning set optimizer.name to 'adam' and optimizer.lr to 1e-5, and network.batch_norm to "
            "'updated', so that every layer adapts; do not judge by accuracy at a distance of 0.5, but at a threshold "
            "chosen on other people, as evaluation.every does"
        )

    def _check_chance(self, step: int, metrics: StepMetrics) -> None:
        window = CHANCE_PATIENCE * self.patience
        self.distances.append((metrics.genuine_distance, metrics.impostor_distance))
        if len(self.distances) > window:
            self.distances.popleft()
        distances = list(self.distances)
        if len(distances) < window or not (_are_equal(distances) and _are_equal(distances[window // 2 :])):
            return
        genuine, impostor = _means(distances)
        raise AtChance(
            f"the {self.loss.kind} loss of {metrics.objective:.3f} is stuck at chance: in the mean of {window} steps, "
            f"at step {step}, faces of one person have been as far apart ({genuine:.3f}) as those of two "
            f"({impostor:.3f}): check that each folder holds one person, then lower optimizer.lr or begin with "
            f"pretraining.steps{self._pair_advice()}"
        )

    def _check_divergence(self, step: int, metrics: StepMetrics) -> None:
        if step == self.pretraining_steps:  # another loss begins
            self.first_losses, self.last_losses = [], deque()
        if len(self.first_losses) < self.patience:
            self.first_losses.append(metrics.loss)
            return
        self.last_losses.append(metrics.loss)
        if len(self.last_losses) <= self.patience:
            return
        self.last_losses.popleft()
        first, last = fmean(self.first_losses), fmean(self.last_losses)
        if last > DIVERGED * max(first, self._chance_loss(step)):
            raise Diverged(
                f"the loss of the last {self.patience} steps is {last:.3g} at step {step}, that of the first ones was "
                f"{first:.3g}: lower optimizer.lr or raise optimizer.warmup_steps"
            )

    def _chance_loss(self, step: int) -> float:
        """Return the loss of a network that has learned nothing: a rise up to it is harmless."""
        return 0.0 if step < self.pretraining_steps else LOSSES[self.loss.kind].chance(self.loss)

    def _inactivity_warning(self, metrics: StepMetrics) -> str | None:
        counts = self.counts
        counts.no_active_triplet = 0 if metrics.mined and metrics.active_share else counts.no_active_triplet + 1
        if counts.no_active_triplet != self.patience or self.loss.kind == "distillation":
            return None
        return (
            f"no triplet has violated the margin for {self.patience} steps, so nothing is learned: choose loss.miner "
            "'batch-hard', more batch.people or a larger loss.margin, or stop here"
        )


def _means(distances: Sequence[tuple[float, float]]) -> tuple[float, float]:
    genuine, impostor = zip(*distances, strict=True)
    return fmean(genuine), fmean(impostor)


def _are_equal(distances: Sequence[tuple[float, float]]) -> bool:
    """Return whether genuine and impostor pairs are equally far apart in the mean."""
    genuine, impostor = _means(distances)
    return abs(impostor - genuine) < CHANCE_GAP * max(impostor, 1e-12)
