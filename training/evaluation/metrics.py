"""
Error rates of verification, as plain functions of distances.

Terms are those of ISO/IEC 19795-1: FMR and FNMR of a threshold, TMR = 1 - FNMR. A pair matches if its distance is at
most the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoldScores:
    """A measure of each fold, at the threshold chosen on the others; `error` is the standard error of the mean."""

    mean: float
    error: float
    folds: tuple[float, ...]
    thresholds: tuple[float, ...]


def accuracy_over_folds(distances: Distances, same: Flags, fold: NDArray[np.int64]) -> FoldScores:
    """Return the accuracies of LFW's protocol: the threshold of each fold maximises accuracy on the others."""
    thresholds = [best_threshold(distances[fold != k], same[fold != k]) for k in np.unique(fold)]
    scores = [
        float(np.mean((distances[fold == k] <= threshold) == same[fold == k]))
        for k, threshold in zip(np.unique(fold), thresholds, strict=True)
    ]
    return _scores(scores, thresholds)


def validation_over_folds(distances: Distances, same: Flags, fold: NDArray[np.int64], far: float) -> FoldScores:
    """Return VAL at FAR as FaceNet reports it: the TMR of each fold at the threshold where the others' FMR is `far`."""
    thresholds, scores = [], []
    for k in np.unique(fold):
        rest = fold != k
        threshold = threshold_at(np.sort(distances[rest & ~same]), far)
        thresholds.append(threshold)
        scores.append(float(np.mean(distances[~rest & same] <= threshold)))
    return _scores(scores, thresholds)


def best_threshold(distances: Distances, same: Flags) -> float:
    """Return the threshold of highest accuracy, midway between two neighbouring distances."""
    order = np.argsort(distances, kind="stable")
    ranked = distances[order]
    right = np.concatenate([[np.sum(~same)], np.sum(~same) + np.cumsum(np.where(same[order], 1, -1))])
    cuts = np.concatenate([[ranked[0] - 1e-6], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1]]])
    right[1:-1][ranked[1:] == ranked[:-1]] = 0  # no threshold separates equal distances
    return float(cuts[np.argmax(right)])


def threshold_at(impostors: Distances, fmr: float) -> float:
    """Return the loosest threshold, to five decimals, that at most a share `fmr` of the sorted `impostors` pass."""
    allowed = int(np.floor(fmr * len(impostors) + 1e-9))
    if allowed >= len(impostors):
        return 4.0
    first_too_many = float(impostors[allowed])
    threshold = round(first_too_many, 5)
    return threshold if threshold < first_too_many else round(threshold - 1e-5, 5)


def share_within(ranked: Distances, threshold: float) -> float:
    """Return the share of the sorted distances that are at most `threshold`."""
    return float(np.searchsorted(ranked, threshold, side="right") / len(ranked))


def equal_error_rate(genuine: Distances, impostors: Distances) -> float:
    """Return the rate at which FMR and FNMR are equal, from sorted distances."""
    thresholds = np.unique(np.concatenate([genuine, impostors]))
    fmr = np.searchsorted(impostors, thresholds, side="right") / len(impostors)
    fnmr = 1 - np.searchsorted(genuine, thresholds, side="right") / len(genuine)
    nearest = np.argmin(np.abs(fmr - fnmr))
    return float((fmr[nearest] + fnmr[nearest]) / 2)


def area_under_curve(genuine: Distances, impostors: Distances) -> float:
    """Return the probability that a genuine pair is closer than an impostor pair (Mann-Whitney U)."""
    ordered, pairs = np.sort(impostors), len(genuine) * len(impostors)
    lost = np.searchsorted(ordered, genuine, "left").sum() + np.searchsorted(ordered, genuine, "right").sum()
    return float((pairs - lost / 2) / pairs)  # equal distances count half


def _scores(scores: list[float], thresholds: list[float]) -> FoldScores:
    error = float(np.std(scores, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else float("nan")
    return FoldScores(float(np.mean(scores)), error, tuple(scores), tuple(thresholds))
