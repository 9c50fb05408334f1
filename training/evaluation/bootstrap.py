"""
Rates over all pairs, with 95 % confidence intervals by a bootstrap over people.

Pairs that share a person are not independent, so people are resampled, not pairs: if a person is drawn w times, genuine
pairs have the weight w, and an impostor pair has the product of its two people's weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.evaluation.all_pairs import AllPairs

RULE_OF_THREE = 3.0  # no event in n trials: the rate is below 3 / n at 95 %
_TAIL = 0.05  # the share of the impostor pairs that bootstrapping FMRs up to 1e-2 needs


def finest_fmr(people_pairs: int) -> float:
    """Return the finest FMR that so many pairs of people support: more images of the same two people add little."""
    return min(1.0, RULE_OF_THREE / max(1, people_pairs))


def bootstrap_weights(people: int, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each person is drawn, (people,), per replicate; the first draws each once: the data itself."""
    random = np.random.default_rng(seed)
    yield np.ones(people)
    for _ in range(replicates):
        yield np.bincount(random.integers(people, size=people), minlength=people).astype(np.float64)


def true_match_rates(pairs: AllPairs, fmrs: list[float], replicates: int, seed: int = 0) -> NDArray[np.float64]:
    """
    Return the TMR at each FMR, (1 + replicates, len(fmrs)): of the data, then of each bootstrap sample.

    Each sample chooses its own threshold. Two models measured with one seed and the same people are paired, replicate
    by replicate.
    """
    tail = min(len(pairs.impostors), int(np.ceil(len(pairs.impostors) * max(_TAIL, 3 * max(fmrs, default=0)))))
    first, second = pairs.impostor_people[:tail].T
    rates = []
    for weight in bootstrap_weights(pairs.people, replicates, seed):
        reached = np.cumsum(weight[first] * weight[second])
        allowed = np.asarray(fmrs) * _impostor_weight(pairs, weight) + 1e-9
        index = np.searchsorted(reached, allowed, side="right")  # the first impostor beyond the allowed weight
        threshold = np.nextafter(pairs.impostors[np.minimum(index, tail - 1)], np.float32(-1))
        matched = np.concatenate([[0.0], np.cumsum(weight[pairs.genuine_person])])
        passed = np.searchsorted(pairs.genuine, threshold, side="right")
        rates.append(matched[passed] / max(matched[-1], 1e-12))
    return np.array(rates)


def rate_curves(
    pairs: AllPairs, thresholds: NDArray[np.float64], replicates: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return FMR and FNMR at each threshold, (1 + replicates, T): of the data, then of each bootstrap sample."""
    within_impostors = np.searchsorted(pairs.impostors, thresholds, side="right")
    within_genuine = np.searchsorted(pairs.genuine, thresholds, side="right")
    first, second = pairs.impostor_people.T
    fmr, fnmr = [], []
    for weight in bootstrap_weights(pairs.people, replicates, seed):
        false = np.concatenate([[0.0], np.cumsum(weight[first] * weight[second])])
        true = np.concatenate([[0.0], np.cumsum(weight[pairs.genuine_person])])
        fmr.append(false[within_impostors] / max(false[-1], 1e-12))
        fnmr.append(1 - true[within_genuine] / max(true[-1], 1e-12))
    return np.array(fmr), np.array(fnmr)


def interval(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle 95 % of bootstrap samples (R,)."""
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def _impostor_weight(pairs: AllPairs, weight: NDArray[np.float64]) -> float:
    images = weight * pairs.images_of
    return float((images.sum() ** 2 - (images**2).sum()) / 2)
