"""
False matches among strangers who are alike: within each cohort, and beside it between cohorts of the same photos.

Between cohorts the photos are as they are within (cut, blurred, small) and the people are not alike: what a rate within
exceeds the one between comes of the people, and what the one between exceeds the promised rate comes of the photos.

Where it is not said who is on a photo, every photo is another person's but for repeats: photos nearer than
`SAME_PERSON`, directly or through others, are one person's, and the first of them counts. Intervals are bootstrapped
over the people of each cohort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph, csr_array

from app.domain.models import Floats
from app.matching.distance import distances_between
from training.all_pairs import interval
from training.errors import TrainingError

SAME_PERSON = 0.6
REPLICATES = 1000
RULE_OF_THREE = 3.0


@dataclass(frozen=True)
class Strangers:
    """N faces: unit vectors (N, D), the cohort's number and the person's of each, and how far it lies in its photo."""

    names: tuple[str, ...]
    vectors: Floats
    cohort_of: NDArray[np.int64]
    person_of: NDArray[np.int64]
    inside: Floats

    def of(self, kept: NDArray[np.bool_]) -> Strangers:
        return Strangers(self.names, self.vectors[kept], self.cohort_of[kept], self.person_of[kept], self.inside[kept])


@dataclass(frozen=True)
class Within:
    """
    A cohort; `fmr` and `tmr` (1 + R, T) at each threshold: of the people, then of each sample of them. `tmr` is nan
    where nobody is on two photos.
    """

    name: str
    people: int
    images: int
    impostor_pairs: int
    genuine_pairs: int
    median_inside: float
    fmr: NDArray[np.float64]
    tmr: NDArray[np.float64]

    def interval(self, column: int) -> tuple[float, float]:
        """
        Of the FMR at a threshold, 95 %. Where no pair matched, no sample of them does; by the rule of three the rate
        may still be 3 divided by the pairs of people.
        """
        low, high = interval(self.fmr[1:, column])
        pairs = self.people * (self.people - 1) // 2
        return low, high if self.fmr[0, column] > 0 else max(high, min(1.0, RULE_OF_THREE / pairs))


@dataclass(frozen=True)
class Measured:
    """Cohorts that have a pair of strangers, and the FMR (1 + R, T) between cohorts."""

    cohorts: tuple[Within, ...]
    between_pairs: int
    between: NDArray[np.float64]

    @property
    def median(self) -> NDArray[np.float64]:
        """Of the cohorts' FMRs, (1 + R, T)."""
        return np.median([cohort.fmr for cohort in self.cohorts], axis=0)


def people_among(vectors: Sequence[Floats], nearer: float = SAME_PERSON) -> NDArray[np.int64]:
    """A number for the person on each of N photos, (N,): one where any of the models' `vectors` has them nearer."""
    near = np.any([distances_between(each, each) < nearer for each in vectors], axis=0)  # (N, N)
    _, person_of = csgraph.connected_components(csr_array(near), directed=False)
    return person_of.astype(np.int64)


def once_a_cohort(cohort_of: NDArray[np.int64], person_of: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of N photos to keep, (N,), so that no cohort has a person twice: the first."""
    kept = np.zeros(len(cohort_of), bool)
    kept[np.unique(np.stack([cohort_of, person_of]), axis=1, return_index=True)[1]] = True
    return kept


def measure(faces: Strangers, thresholds: Sequence[float], *, replicates: int = REPLICATES, seed: int = 0) -> Measured:
    """Raises TrainingError where no cohort has two strangers. Equal seeds and people are paired across models."""
    weight = _drawn(faces.cohort_of, faces.person_of, replicates, seed)
    distances = distances_between(faces.vectors, faces.vectors)
    apart = _strangers(faces) & np.not_equal.outer(faces.cohort_of, faces.cohort_of)
    return Measured(
        cohorts=within_each(faces, thresholds, replicates=replicates, seed=seed),
        between_pairs=int(apart.sum()) // 2,
        between=_rates(distances, apart, weight, thresholds),
    )


def within_each(
    faces: Strangers, thresholds: Sequence[float], *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[Within, ...]:
    """Every cohort with a pair of strangers; TrainingError where there is none."""
    weight = _drawn(faces.cohort_of, faces.person_of, replicates, seed)
    cohorts = [
        _within(name, faces.of(members), weight[:, members], thresholds)
        for number, name in enumerate(faces.names)
        if (members := faces.cohort_of == number).any()
    ]
    kept = tuple(cohort for cohort in cohorts if cohort.impostor_pairs)
    if not kept:
        raise TrainingError("no cohort has two strangers in it: want several people in each")
    return kept


def impostors_within(faces: Strangers) -> list[NDArray[np.float64]]:
    """The distances of strangers in each cohort that has some, ascending."""
    members = [faces.of(faces.cohort_of == number) for number in range(len(faces.names))]
    distances = [
        distances_between(each.vectors, each.vectors)[np.triu(_strangers(each))].astype(np.float64) for each in members
    ]
    return [np.sort(each) for each in distances if len(each)]


def _strangers(faces: Strangers) -> NDArray[np.bool_]:
    """Pairs of different people, (N, N)."""
    other: NDArray[np.bool_] = np.not_equal.outer(faces.person_of, faces.person_of)
    return other


def _drawn(
    cohort_of: NDArray[np.int64], person_of: NDArray[np.int64], replicates: int, seed: int
) -> NDArray[np.float64]:
    """How often each face is drawn, with its person, from among the people of its cohort, (1 + R, N); at first once."""
    random = np.random.default_rng(seed)
    weight = np.ones((1 + replicates, len(cohort_of)))
    for cohort in np.unique(cohort_of):
        members = np.flatnonzero(cohort_of == cohort)
        people, person = np.unique(person_of[members], return_inverse=True)
        draws = random.integers(len(people), size=(replicates, len(people)))
        times = np.stack([np.bincount(draw, minlength=len(people)) for draw in draws]) if replicates else draws
        weight[1:, members] = times[:, person]
    return weight


def _within(name: str, faces: Strangers, weight: NDArray[np.float64], thresholds: Sequence[float]) -> Within:
    strangers, distances = _strangers(faces), distances_between(faces.vectors, faces.vectors)
    genuine = np.triu(~strangers, 1)
    return Within(
        name=name,
        people=len(np.unique(faces.person_of)),
        images=len(faces.vectors),
        impostor_pairs=int(strangers.sum()) // 2,
        genuine_pairs=int(genuine.sum()),
        median_inside=float(np.median(faces.inside)),
        fmr=_rates(distances, strangers, weight, thresholds),
        tmr=_genuine_rates(distances, genuine, weight, thresholds),
    )


def _rates(
    distances: Floats, counted: NDArray[np.bool_], weight: NDArray[np.float64], thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Share of the `counted` pairs (N, N) within each threshold, pairs weighing as both their faces: (1 + R, T)."""
    pairs = _weighed(counted, weight)
    within = [_weighed(counted & (distances <= threshold), weight) for threshold in thresholds]
    return np.stack(within, axis=1) / np.maximum(pairs, 1e-12)[:, None]


def _genuine_rates(
    distances: Floats, genuine: NDArray[np.bool_], weight: NDArray[np.float64], thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Likewise of the `genuine` pairs, which weigh as their one person: (1 + R, T)."""
    within = [weight @ (genuine & (distances <= threshold)).sum(axis=1) for threshold in thresholds]
    with np.errstate(invalid="ignore"):
        rates: NDArray[np.float64] = np.array(within).T / (weight @ genuine.sum(axis=1))[:, None]
    return rates


def _weighed(pairs: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weight of all `pairs` (N, N) in each sample, (1 + R,)."""
    return np.asarray(((weight @ pairs.astype(np.float64)) * weight).sum(axis=1))
