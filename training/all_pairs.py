"""
Every image against every other, and the bootstrap over people that tells how sure the rates are.

Pairs that share a person are not independent, so whole people are drawn again, not pairs: a person drawn w times gives
its genuine pairs the weight w, and an impostor pair has the product of its two people's weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Floats
from app.matching.distance import distances_between

_TAIL = 0.05  # share of the impostor pairs that a bootstrap of FMRs up to 1e-2 needs


@dataclass(frozen=True)
class AllPairs:
    """Distances (G,) and (I,), ascending, with the person, or both people, of each pair."""

    genuine: Floats
    genuine_person: NDArray[np.int32]
    impostors: Floats
    impostor_people: NDArray[np.int32]  # (I, 2)
    people: int
    images_of: NDArray[np.int64]  # (people,)

    @cached_property
    def impostor_people_pairs(self) -> int:
        """How many pairs of people are behind the impostor pairs."""
        people = int((self.images_of > 0).sum())
        return people * (people - 1) // 2


def all_pairs(probes: Floats, references: Floats, person_of: NDArray[np.int64]) -> AllPairs:
    """Each pair i < j once: `probes`[i] against `references`[j]; both (N, D) unit vectors, of person (N,)."""
    person_of = person_of.astype(np.int32)
    rows, columns = np.triu_indices(len(probes), 1)
    distances = distances_between(probes, references)[rows, columns]
    same = person_of[rows] == person_of[columns]
    near, far = np.argsort(distances[same], kind="stable"), np.argsort(distances[~same], kind="stable")
    return AllPairs(
        genuine=distances[same][near],
        genuine_person=person_of[rows[same]][near],
        impostors=distances[~same][far],
        impostor_people=np.stack([person_of[rows[~same]], person_of[columns[~same]]], axis=1)[far],
        people=int(person_of.max()) + 1,
        images_of=np.bincount(person_of),
    )


def bootstrap_weights(people: int, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each person is drawn, (people,), in each replicate; the first draws each once: the data itself."""
    random = np.random.default_rng(seed)
    yield np.ones(people)
    for _ in range(replicates):
        yield np.bincount(random.integers(people, size=people), minlength=people).astype(np.float64)


def true_match_rates(pairs: AllPairs, fmrs: list[float], replicates: int, seed: int = 0) -> NDArray[np.float64]:
    """
    TMR at each FMR, (1 + replicates, len(fmrs)): of the data, then of each bootstrap sample, with the threshold chosen
    anew in each. Two models measured with one seed and the same people are paired, replicate by replicate.
    """
    tail = min(len(pairs.impostors), int(np.ceil(len(pairs.impostors) * max(_TAIL, 3 * max(fmrs)))))
    first, second = pairs.impostor_people[:tail].T
    rates = []
    for weight in bootstrap_weights(pairs.people, replicates, seed):
        reached = np.cumsum(weight[first] * weight[second])
        allowed = np.asarray(fmrs) * _impostor_weight(pairs, weight) + 1e-9
        index = np.searchsorted(reached, allowed, side="right")  # the first impostor that is one too many
        threshold = np.nextafter(pairs.impostors[np.minimum(index, tail - 1)], np.float32(-1))
        matched = np.concatenate([[0.0], np.cumsum(weight[pairs.genuine_person])])
        passed = np.searchsorted(pairs.genuine, threshold, side="right")
        rates.append(matched[passed] / max(matched[-1], 1e-12))
    return np.array(rates)


def rate_curves(
    pairs: AllPairs, thresholds: NDArray[np.float64], replicates: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """FMR and FNMR at each threshold, each (1 + replicates, T): of the data, then of each bootstrap sample."""
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
    """The middle 95 % of bootstrap samples (R,)."""
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def _impostor_weight(pairs: AllPairs, weight: NDArray[np.float64]) -> float:
    images = weight * pairs.images_of
    return float((images.sum() ** 2 - (images**2).sum()) / 2)
