"""
What goes wrong in metric learning, seen in the measures of a run: it stops, or warns, and says what to change.

`patience` is the config's, in steps; every symptom must last without a break.
- Collapsed: spread < 0.01 for `patience` steps, and not doubling meanwhile: all faces have one vector, and the triplet
  loss is stuck at its margin.
- AtChance: same and other faces are equally far apart, to 2 %, for 4 x `patience` steps.
- Diverged: the mean loss of `patience` steps is twice that of the first ones, and twice chance. (A loss that is no
  number is stopped at once, in `learner`.)
- A warning: no triplet has violated the margin for `patience` steps.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import fmean

from training.checkpoints import Contents
from training.config import LossConfig
from training.errors import TrainingError
from training.journal import Measures
from training.learner import Diverged

COLLAPSED_SPREAD = 0.01
RECOVERING = 2.0
CHANCE_GAP = 0.02
CHANCE_PATIENCE = 4
DIVERGED = 2.0


class Collapsed(TrainingError):
    """All embeddings are equal."""


class AtChance(TrainingError):
    """The embedding tells no one apart."""


@dataclass(slots=True)
class Diagnosis:
    """Of one run; note each step's measures in turn. A patience of 0 looks away."""

    loss: LossConfig
    patience: int
    pretraining: int = 0
    collapsed: int = 0
    least_spread: float = 1.0
    at_chance: int = 0
    idle: int = 0
    first: list[float] = field(default_factory=list)
    last: deque[float] = field(default_factory=deque)

    def note(self, step: int, measures: Measures) -> str | None:
        """A warning, if there is one; raises Collapsed, AtChance or Diverged."""
        if not self.patience:
            return None
        self._collapse(step, measures)
        self._chance(step, measures)
        self._divergence(step, measures)
        return self._idleness(measures)

    def contents(self) -> Contents:
        return {
            "counts": [self.collapsed, self.at_chance, self.idle],
            "least_spread": self.least_spread,
            "first": self.first,
            "last": list(self.last),
        }

    def restore(self, kept: Contents) -> None:
        self.collapsed, self.at_chance, self.idle = kept["counts"]
        self.least_spread, self.first, self.last = kept["least_spread"], kept["first"], deque(kept["last"])

    def _collapse(self, step: int, measures: Measures) -> None:
        ended = measures.spread >= COLLAPSED_SPREAD or measures.spread > RECOVERING * self.least_spread
        self.collapsed = 0 if ended else self.collapsed + 1
        self.least_spread = min(measures.spread, self.least_spread) if self.collapsed else 1.0
        if self.collapsed >= self.patience:
            raise Collapsed(
                f"collapsed: all faces have had one vector for {self.patience} steps at step {step} (spread "
                f"{measures.spread:.1g}, loss {measures.objective:.3f}, margin {self.loss.margin:g}): "
                f"lower optimiser.learning_rate{self._gentler()}, and start again"
            )

    def _gentler(self) -> str:
        return ", set loss.miner to 'semi-hard'" if self.loss.miner in ("batch-hard", "violating") else ""

    def _chance(self, step: int, measures: Measures) -> None:
        gap = (measures.negative - measures.positive) / max(measures.negative, 1e-12)
        self.at_chance = self.at_chance + 1 if abs(gap) < CHANCE_GAP else 0
        if self.at_chance >= CHANCE_PATIENCE * self.patience:
            raise AtChance(
                f"the {self.loss.kind} loss of {measures.objective:.3f} is stuck at chance: "
                f"for {self.at_chance} steps, at step {step}, faces of one person are as far apart "
                f"({measures.positive:.3f}) as those of two "
                f"({measures.negative:.3f}): check that each folder holds one person, then lower "
                "optimiser.learning_rate or begin with pretraining.steps"
            )

    def _divergence(self, step: int, measures: Measures) -> None:
        if step == self.pretraining:  # another loss begins
            self.first, self.last = [], deque()
        if len(self.first) < self.patience:
            self.first.append(measures.loss)
            return
        self.last.append(measures.loss)
        if len(self.last) <= self.patience:
            return
        self.last.popleft()
        bound = DIVERGED * max(fmean(self.first), self._chance_loss(step))
        if fmean(self.last) > bound:
            raise Diverged(
                f"the loss of the last {self.patience} steps is {fmean(self.last):.3g} at step {step}, that of the "
                f"first ones was {fmean(self.first):.3g}: lower optimiser.learning_rate or lengthen optimiser.warm_up"
            )

    def _chance_loss(self, step: int) -> float:
        """What vectors that know nothing may lose after they lost less, so that no harmless rise counts."""
        if step < self.pretraining:
            return 0.0
        return 1 + self.loss.margin if self.loss.kind == "triplet" else self.loss.margin**2 / 2

    def _idleness(self, measures: Measures) -> str | None:
        self.idle = 0 if measures.mined and measures.active else self.idle + 1
        if self.idle != self.patience:
            return None
        return (
            f"no triplet has violated the margin for {self.patience} steps, so that nothing is learned: choose "
            "loss.miner 'batch-hard', more batch.people or a larger loss.margin, or stop here"
        )
