"""Validation on held-out people every few steps, keeping the best weights."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.config.evaluation import EvaluationConfig
from training.data.dataset import FaceSet
from training.engine import checkpoints
from training.engine.checkpoints import State
from training.engine.train_step import Learner
from training.engine.validation import Validation, validate

BEST = "best.pt"


class BestCheckpoint:
    """The best weights of one run, in the main process. `held_out` is None where nothing is validated."""

    def __init__(self, config: EvaluationConfig, steps: int, held_out: FaceSet | None, output: Path) -> None:
        self._config, self._steps, self._held_out, self._path = config, steps, held_out, output / BEST
        self._validations: list[Validation] = []

    def update(self, learner: Learner) -> Validation | None:
        """Validate the learner's weights if it is time, and write them to best.pt if they are the best so far."""
        step, every = learner.step, self._config.every
        if self._held_out is None or not every or (step % every and step != self._steps):
            return None
        fmr, block_size = self._config.fmr, self._config.block_size
        validation = validate(
            learner.network, learner.weights(), self._held_out, step=step, fmr=fmr, block_size=block_size
        )
        self._validations.append(validation)
        if self._best() is validation:
            checkpoints.write(self._path, learner.weights())
        return validation

    def load(self) -> dict[str, Tensor] | None:
        """Return the best weights, or None where nothing was validated."""
        if not self._validations:
            return None
        best: dict[str, Tensor] = torch.load(self._path, map_location="cpu", weights_only=True)
        return best

    def report(self) -> dict[str, Any] | None:
        """Return the best validation and all of them."""
        if not self._validations:
            return None
        return {"best": asdict(self._best()), "all": [asdict(validation) for validation in self._validations]}

    def state_dict(self) -> State:
        return {"validations": [asdict(validation) for validation in self._validations]}

    def load_state_dict(self, state: State) -> None:
        self._validations = [Validation(**validation) for validation in state["validations"]]

    def _best(self) -> Validation:
        """Return the first of equally good ones."""
        return max(self._validations, key=lambda validation: float(getattr(validation, self._config.best_by)))
