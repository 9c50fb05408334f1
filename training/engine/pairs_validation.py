"""Accuracy and VAL on a list of pairs of photos, LFW's for example, while a network trains: lfw_result.txt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.domain.arrays import Pixels
from app.domain.faces import Face
from app.faces.alignment import LandmarkAligner, arcface_template
from training.config.evaluation import EvaluationConfig
from training.engine.checkpoints import State
from training.engine.train_step import Learner
from training.engine.validation import PairsResult, embed_images
from training.evaluation.lfw_protocol import supported_far
from training.evaluation.metrics import accuracy_over_folds, validation_over_folds
from training.evaluation.pairs import PairList
from training.evaluation.verification import VerificationTask, pair_scores
from training.pipeline.detection_cache import FaceFinder, read_photo
from training.pipeline.embeddings import Embeddings

RESULT = "lfw_result.txt"


class PairsValidation:
    """
    Measures the learner's weights on the pairs of a run, in the main process.

    The faces are found once, by the served detector, and aligned as they are served at the network's size.
    """

    def __init__(self, config: EvaluationConfig, steps: int, task: VerificationTask, output: Path, size: int) -> None:
        self._config, self._steps, self._path = config, steps, output / RESULT
        self._found, self._pairs = task.detected.found, task.pairs
        self._far = supported_far(task.pairs)
        aligner = LandmarkAligner(arcface_template(size), size)
        faces = zip(task.detected.paths, task.detected.faces, strict=True)
        self._images = [partial(_aligned, path, face, aligner) for path, face in faces if face]
        self._results: list[PairsResult] = []

    def update(self, learner: Learner) -> PairsResult | None:
        """Measure the learner's weights if it is time, and write lfw_result.txt."""
        step = learner.step
        if step % self._config.every and step != self._steps:
            return None
        result = self._measure(learner)
        self._results.append(result)
        self._write()
        return result

    def report(self) -> list[dict[str, Any]]:
        return [asdict(result) for result in self._results]

    def state_dict(self) -> State:
        return {"results": self.report()}

    def load_state_dict(self, state: State) -> None:
        self._results = [PairsResult(**result) for result in state["results"]]

    def _measure(self, learner: Learner) -> PairsResult:
        images: list[Callable[[], Pixels]] = [*self._images]
        vectors = embed_images(learner.network, learner.weights(), images).numpy()  # (N, D)
        scores = pair_scores(Embeddings.without_offsets(vectors), self._found, self._pairs)
        accuracy = accuracy_over_folds(scores, self._pairs.same, self._pairs.fold)
        val = validation_over_folds(scores, self._pairs.same, self._pairs.fold, self._far)
        return PairsResult(learner.step, accuracy.mean, accuracy.error, val.mean, val.error, self._far)

    def _write(self) -> None:
        """Write a line for each measurement: step, accuracy, VAL, as davidsandberg/facenet, then their errors."""
        lines = [
            f"{each.step}\t{each.accuracy:.5f}\t{each.val:.5f}\t{each.accuracy_error:.5f}\t{each.val_error:.5f}\n"
            for each in self._results
        ]
        self._path.write_text("".join(lines), encoding="utf-8")


def open_pairs(config: EvaluationConfig, steps: int, output: Path, size: int) -> PairsValidation | None:
    """Find the faces of the config's photos, if it has any; `size` is that of the network's crops."""
    if config.photos is None or config.pairs is None:
        return None
    finder = FaceFinder(config.models_dir, cache=config.cache or output)
    task = VerificationTask.open(config.photos, config.pairs, finder)
    if config.folds:
        task = replace(task, pairs=in_folds(task.pairs, config.folds))
    return PairsValidation(config, steps, task, output, size)


def in_folds(pairs: PairList, count: int) -> PairList:
    """Return the pairs cut into `count` folds of neighbours in the list."""
    return replace(pairs, fold=np.arange(len(pairs.same)) * count // len(pairs.same))


def _aligned(path: Path, face: Face, aligner: LandmarkAligner) -> Pixels:
    return aligner.align(read_photo(path), face).pixels
