"""
What goes wrong in metric learning, seen in the measures of a run: it stops, or warns, and says what to change.

Every symptom must last without a break; `patience` is the config's, in steps.
- Collapsed: spread < 0.002 for `patience` steps, and its mean over their second half at most 1.5 times that over their
  first, so that all faces have one vector and nothing moves them apart; or the triplet loss is within 5 % of its margin
  with spread < 0.05 for 10 x `patience` steps. (Hard triplets lead many a run through such a valley, 50 to 200 steps
  long, with spread about 0.01.)
- AtChance: same and other faces are equally far apart, to 2 %, for 4 x `patience` steps.
- Diverged: the mean loss of `patience` steps is twice that of the first ones, and twice chance. (A loss that is no
  number is stopped at once, in `learner`.)
- A warning: no triplet has violated the margin for `patience` steps.
"""

from collections import deque
from dataclasses import asdict, dataclass, field
from statistics import fmean

from training.config.schema import LossConfig
from training.engine.checkpoints import Contents
from training.engine.logging import Measures
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
    """The embedding tells no one apart."""


@dataclass(slots=True)
class Lasting:
    """For how many steps in a row each symptom has been there."""

    stuck: int = 0
    at_chance: int = 0
    idle: int = 0


@dataclass(slots=True)
class Diagnosis:
    """Of one run; note each step's measures in turn. A patience of 0 looks away."""

    loss: LossConfig
    patience: int
    pretraining: int = 0
    lasting: Lasting = field(default_factory=Lasting)
    spreads: deque[float] = field(default_factory=deque)
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
        lists = {"spreads": list(self.spreads), "first": self.first, "last": list(self.last)}
        return {"lasting": asdict(self.lasting), **lists}

    def restore(self, kept: Contents) -> None:
        self.lasting, self.spreads = Lasting(**kept["lasting"]), deque(kept["spreads"])
        self.first, self.last = kept["first"], deque(kept["last"])

    def _collapse(self, step: int, measures: Measures) -> None:
        self.lasting.stuck = self.lasting.stuck + 1 if self._is_stuck(step, measures) else 0
        flat, stuck = self._is_flat(measures.spread), self.lasting.stuck >= STUCK_PATIENCE * self.patience
        if flat or stuck:
            steps = self.patience if flat else self.lasting.stuck
            raise Collapsed(
                f"collapsed: for {steps} steps, at step {step}, all faces have had almost one vector (spread "
                f"{measures.spread:.1g} of 1, loss {measures.objective:.3f}, margin {self.loss.margin:g}): "
                f"lower optimiser.learning_rate{self._gentler()}, and start again"
            )

    def _is_flat(self, spread: float) -> bool:
        self.spreads.append(spread)
        if len(self.spreads) > self.patience:
            self.spreads.popleft()
        if len(self.spreads) < self.patience or max(self.spreads) >= COLLAPSED_SPREAD:
            return False
        spreads, half = list(self.spreads), (self.patience + 1) // 2
        return fmean(spreads[-half:]) <= RECOVERING * fmean(spreads[:half])

    def _is_stuck(self, step: int, measures: Measures) -> bool:
        off = abs(measures.objective - self.loss.margin) / self.loss.margin
        of_triplets = self.loss.kind == "triplet" and step >= self.pretraining
        return of_triplets and off < STUCK_TO_MARGIN and measures.spread < STUCK_SPREAD

    def _gentler(self) -> str:
        return ", set loss.miner to 'semi-hard'" if self.loss.miner in ("batch-hard", "violating") else ""

    def _chance(self, step: int, measures: Measures) -> None:
        gap = (measures.negative - measures.positive) / max(measures.negative, 1e-12)
        self.lasting.at_chance = self.lasting.at_chance + 1 if abs(gap) < CHANCE_GAP else 0
        if self.lasting.at_chance >= CHANCE_PATIENCE * self.patience:
            raise AtChance(
                f"the {self.loss.kind} loss of {measures.objective:.3f} is stuck at chance: for "
                f"{self.lasting.at_chance} steps, at step {step}, faces of one person are as far apart "
                f"({measures.positive:.3f}) as those of two ({measures.negative:.3f}): check that each folder holds "
                "one person, then lower optimiser.learning_rate or begin with pretraining.steps"
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
        if fmean(self.last) > DIVERGED * max(fmean(self.first), self._chance_loss(step)):
            raise Diverged(
                f"the loss of the last {self.patience} steps is {fmean(self.last):.3g} at step {step}, that of the "
                f"first ones was {fmean(self.first):.3g}: lower optimiser.learning_rate or lengthen optimiser.warm_up"
            )

    def _chance_loss(self, step: int) -> float:
        """What vectors that know nothing may lose after they lost less, so that no harmless rise counts."""
        if step < self.pretraining:
            return 0.0
        return LOSSES[self.loss.kind].chance(self.loss.margin)

    def _idleness(self, measures: Measures) -> str | None:
        lasting = self.lasting
        lasting.idle = 0 if measures.mined and measures.active else lasting.idle + 1
        if lasting.idle != self.patience:
            return None
        return (
            f"no triplet has violated the margin for {self.patience} steps, so that nothing is learned: choose "
            "loss.miner 'batch-hard', more batch.people or a larger loss.margin, or stop here"
        )
