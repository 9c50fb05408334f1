"""Every k steps the weights of the moment are measured on held-out people, and the best are kept."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.config.schema import EvaluationConfig
from training.data.dataset import FaceSet
from training.engine import checkpoints
from training.engine.checkpoints import Contents
from training.engine.train_step import Learner
from training.engine.validation import Validation, validate

BEST = "best.pt"


class Selection:
    """Of one run, in the first process. `held_out` is None where nothing is measured."""

    def __init__(self, config: EvaluationConfig, steps: int, held_out: FaceSet | None, output: Path) -> None:
        self._config, self._steps, self._held_out, self._path = config, steps, held_out, output / BEST
        self._done: list[Validation] = []

    def after(self, learning: Learner) -> Validation | None:
        """How the weights after this step do, where it is time; written to best.pt if they are the best yet."""
        step, every = learning.step, self._config.every
        if self._held_out is None or not every or (step % every and step != self._steps):
            return None
        found = validate(learning.network, learning.weights(), self._held_out, step=step, fmr=self._config.fmr)
        self._done.append(found)
        if self._best() is found:
            checkpoints.write(self._path, learning.weights())
        return found

    def weights(self) -> dict[str, Tensor] | None:
        """The best, where anything was measured."""
        if not self._done:
            return None
        best: dict[str, Tensor] = torch.load(self._path, map_location="cpu", weights_only=True)
        return best

    def report(self) -> dict[str, Any] | None:
        """What was measured, and which of it is kept."""
        return {"best": asdict(self._best()), "all": [asdict(one) for one in self._done]} if self._done else None

    def contents(self) -> Contents:
        return {"done": [asdict(one) for one in self._done]}

    def restore(self, kept: Contents) -> None:
        self._done = [Validation(**one) for one in kept["done"]]

    def _best(self) -> Validation:
        """The first of the best."""
        return max(self._done, key=lambda one: float(getattr(one, self._config.best_by)))
