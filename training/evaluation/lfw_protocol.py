"""
LFW's protocol on a list of pairs, and confidence intervals by a bootstrap over people.

VAL is stated at FAR 1e-3, or at the finest FAR that the impostor pairs of the other folds support (the rule of three):
1.1e-3 on LFW's ten folds. If a person is drawn w times, a genuine pair has the weight w, and an impostor pair the
product of its two people's weights. Each sample chooses its thresholds again, on the other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.bootstrap import bootstrap_weights, finest_fmr, interval
from training.evaluation.metrics import (
    accuracy_over_folds,
    area_under_curve,
    equal_error_rate,
    share_within,
    threshold_at,
    validation_over_folds,
)
from training.evaluation.pairs import PairList

FAR = 1e-3  # of VAL, where the pairs support it
CURVE = 60  # points of a DET curve
Distances = NDArray[np.float64]


def report(distances: Distances, pairs: PairList) -> dict[str, Any]:
    """Return the measures of the pairs' distances (N,)."""
    same, fold = pairs.same, pairs.fold
    genuine, impostors = np.sort(distances[same]), np.sort(distances[~same])
    far, finest = supported_far(pairs), finest_fmr(pairs.impostor_people_pairs(~same))
    return {
        "pairs": {"genuine": len(genuine), "impostor": len(impostors)},
        "accuracy": asdict(accuracy_over_folds(distances, same, fold)),
        "val": {"far": far, **asdict(validation_over_folds(distances, same, fold, far))},
        "eer": equal_error_rate(genuine, impostors),
        "auc": area_under_curve(genuine, impostors),
        "curve": curve(genuine, impostors, finest),
    }


def supported_far(pairs: PairList) -> float:
    """Return the FAR of VAL: `FAR`, or the finest that the impostor pairs of all folds but one support."""
    others = [pairs.impostor_people_pairs(pairs.fold != fold) for fold in np.unique(pairs.fold)]
    return max(FAR, finest_fmr(min(others)))


def curve(genuine: Distances, impostors: Distances, finest: float) -> list[dict[str, float]]:
    """Return points of the DET and ROC curves from the FMR `finest` on, from ascending distances."""
    thresholds = [threshold_at(impostors, fmr) for fmr in np.geomspace(finest, 1, CURVE)]
    return [
        {"threshold": t, "fmr": share_within(impostors, t), "fnmr": 1 - share_within(genuine, t)} for t in thresholds
    ]


def gain(main: Distances, other: Distances, pairs: PairList, replicates: int) -> dict[str, Any]:
    """Return how much better `main` is than `other`, with paired intervals; the people of the pairs must be known."""
    weights = list(_pair_weights(pairs, replicates))
    measures: dict[str, Callable[[Distances, PairList, NDArray[np.float64]], float]] = {
        "accuracy": weighted_accuracy,
        "val": partial(weighted_validation, far=supported_far(pairs)),
    }
    differences = {
        name: np.array([measure(main, pairs, weight) - measure(other, pairs, weight) for weight in weights])
        for name, measure in measures.items()
    }
    return {
        name: {"mean": float(samples[0]), "interval": interval(samples[1:])} for name, samples in differences.items()
    }


def weighted_accuracy(distances: Distances, pairs: PairList, weight: NDArray[np.float64]) -> float:
    """Return the mean of accuracy_over_folds for pairs of weights (N,)."""
    return float(np.mean([_fold_accuracy(distances, pairs, weight, fold) for fold in np.unique(pairs.fold)]))


def weighted_validation(distances: Distances, pairs: PairList, weight: NDArray[np.float64], far: float) -> float:
    """Return the mean of validation_over_folds for pairs of weights (N,)."""
    return float(np.mean([_fold_validation(distances, pairs, weight, fold, far) for fold in np.unique(pairs.fold)]))


def _fold_accuracy(distances: Distances, pairs: PairList, weight: NDArray[np.float64], fold: int) -> float:
    threshold = _best_threshold(*_select(distances, pairs, weight, pairs.fold != fold))
    tested, same, counted = _select(distances, pairs, weight, pairs.fold == fold)
    return float(((tested <= threshold) == same) @ counted / max(counted.sum(), 1e-12))


def _fold_validation(
    distances: Distances, pairs: PairList, weight: NDArray[np.float64], fold: int, far: float
) -> float:
    rest, tested = pairs.fold != fold, pairs.fold == fold
    impostors, _, counted = _select(distances, pairs, weight, rest & ~pairs.same)
    reached = np.cumsum(counted)
    first_too_many = int(np.searchsorted(reached, far * reached[-1] + 1e-9, side="right"))
    genuine, _, shares = _select(distances, pairs, weight, tested & pairs.same)
    threshold = impostors[min(first_too_many, len(impostors) - 1)]
    return float((genuine < threshold) @ shares / max(shares.sum(), 1e-12))


def _select(
    distances: Distances, pairs: PairList, weight: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> tuple[Distances, NDArray[np.bool_], NDArray[np.float64]]:
    """Return distances, kinds and weights of the chosen pairs, in ascending order of distance."""
    order = np.argsort(distances[chosen], kind="stable")
    return distances[chosen][order], pairs.same[chosen][order], weight[chosen][order]


def _best_threshold(ranked: Distances, same: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """Return metrics.best_threshold of weighted pairs in ascending order of distance."""
    right = np.concatenate([[0.0], np.cumsum(np.where(same, weight, -weight))])
    cuts = np.concatenate([[ranked[0] - 1e-6], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1]]])
    right[1:-1][ranked[1:] == ranked[:-1]] = -np.inf  # no threshold separates equal distances
    return float(cuts[np.argmax(right)])


def _pair_weights(pairs: PairList, replicates: int) -> Iterator[NDArray[np.float64]]:
    person_of = pairs.person_of
    if person_of is None:
        raise ValueError("expected pairs whose folders are people")
    first, second = person_of[pairs.first], person_of[pairs.second]
    for weight in bootstrap_weights(int(person_of.max()) + 1, replicates, seed=0):
        yield np.where(pairs.same, weight[first], weight[first] * weight[second])
