"""
False match rates within each cohort of people who look alike, and between cohorts of the same photos.

Within and between cohorts the photos are of the same kind (cropped, blurred, small), but only within a cohort do the
people look alike. So the difference between the two rates is due to the people, and the difference between the rate
between cohorts and the calibrated FMR is due to the photos.

If it is unknown who is on a photo, every photo counts as another person's, except repeats: photos closer than
`SAME_PERSON`, directly or through others, are of one person, and only the first of them is used. Intervals are
bootstrapped over the people of each cohort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph, csr_array

from app.domain.arrays import Floats
from app.matching.distance import distances_between
from training.errors import TrainingError
from training.evaluation.bootstrap import RULE_OF_THREE, interval
from training.pipeline.embeddings import Embeddings

SAME_PERSON = 0.6
REPLICATES = 1000


@dataclass(frozen=True)
class CohortFaces:
    """N faces: their embeddings, the cohort and person of each, and the share of each crop inside its photo."""

    names: tuple[str, ...]
    embeddings: Embeddings
    cohort_of: NDArray[np.int64]
    person_of: NDArray[np.int64]
    inside: Floats
    degraded: Embeddings | None = None
    """Embeddings of the same photos after degradation."""

    def select(self, kept: NDArray[np.bool_]) -> CohortFaces:
        return CohortFaces(
            self.names,
            self.embeddings.select(kept),
            self.cohort_of[kept],
            self.person_of[kept],
            self.inside[kept],
            self.degraded.select(kept) if self.degraded else None,
        )


@dataclass(frozen=True)
class CohortRates:
    """
    The rates of a cohort, (1 + R, T) at each threshold: of the data, then of each bootstrap sample.

    `tmr` is nan if nobody is on two photos. `view_fnmr` is the FNMR of each photo and its degraded copy, a lower bound
    of the FNMR of two photos; nan if there are no copies.
    """

    name: str
    people: int
    images: int
    impostor_pairs: int
    genuine_pairs: int
    median_inside: float
    fmr: NDArray[np.float64]
    tmr: NDArray[np.float64]
    view_fnmr: NDArray[np.float64]

    def interval(self, column: int) -> tuple[float, float]:
        """
        Return the 95 % interval of the FMR at a threshold.

        If no pair matched, none does in any sample; the upper end is then 3 / pairs of people (the rule of three).
        """
        low, high = interval(self.fmr[1:, column])
        pairs = self.people * (self.people - 1) // 2
        return low, high if self.fmr[0, column] > 0 else max(high, min(1.0, RULE_OF_THREE / pairs))


@dataclass(frozen=True)
class DemographicRates:
    """The rates of cohorts with a pair of strangers, and the FMR (1 + R, T) between cohorts."""

    cohorts: tuple[CohortRates, ...]
    between_pairs: int
    between: NDArray[np.float64]

    @property
    def median(self) -> NDArray[np.float64]:
        """The median of the cohorts' FMRs, (1 + R, T)."""
        return np.median([cohort.fmr for cohort in self.cohorts], axis=0)


def infer_people(vectors: Sequence[Floats], same_person: float = SAME_PERSON) -> NDArray[np.int64]:
    """Number the people on N photos, (N,): two photos are of one if any model's `vectors` are closer than that."""
    same = np.any([distances_between(each, each) < same_person for each in vectors], axis=0)  # (N, N)
    _, person_of = csgraph.connected_components(csr_array(same), directed=False)
    return person_of.astype(np.int64)


def first_per_person(cohort_of: NDArray[np.int64], person_of: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return a mask (N,) that keeps the first photo of each person in each cohort."""
    kept = np.zeros(len(cohort_of), bool)
    kept[np.unique(np.stack([cohort_of, person_of]), axis=1, return_index=True)[1]] = True
    return kept


def measure(
    faces: CohortFaces, thresholds: Sequence[float], *, replicates: int = REPLICATES, seed: int = 0
) -> DemographicRates:
    """Measure all rates; equal seeds and people are paired. Raises TrainingError if no cohort has two people."""
    weight = _bootstrap_weights(faces.cohort_of, faces.person_of, replicates, seed)
    scores = faces.embeddings.scores(faces.embeddings)
    between = _different_people(faces) & np.not_equal.outer(faces.cohort_of, faces.cohort_of)
    return DemographicRates(
        cohorts=cohort_rates(faces, thresholds, replicates=replicates, seed=seed),
        between_pairs=int(between.sum()) // 2,
        between=_weighted_rates(scores, between, weight, thresholds),
    )


def cohort_rates(
    faces: CohortFaces, thresholds: Sequence[float], *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[CohortRates, ...]:
    """Return the rates of every cohort with two people. Raises TrainingError if there is none."""
    weight = _bootstrap_weights(faces.cohort_of, faces.person_of, replicates, seed)
    cohorts = [
        _rates_of(name, faces.select(members), weight[:, members], thresholds)
        for number, name in enumerate(faces.names)
        if (members := faces.cohort_of == number).any()
    ]
    kept = tuple(cohort for cohort in cohorts if cohort.impostor_pairs)
    if not kept:
        raise TrainingError("no cohort has two people: expected several in each")
    return kept


def impostor_scores(faces: CohortFaces) -> list[NDArray[np.float64]]:
    """Return the ascending scores of impostor pairs in each cohort that has any."""
    members = [faces.select(faces.cohort_of == number) for number in range(len(faces.names))]
    scores = [
        each.embeddings.scores(each.embeddings)[np.triu(_different_people(each))].astype(np.float64) for each in members
    ]
    return [np.sort(each) for each in scores if len(each)]


def _different_people(faces: CohortFaces) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = np.not_equal.outer(faces.person_of, faces.person_of)  # (N, N)
    return different


def _bootstrap_weights(
    cohort_of: NDArray[np.int64], person_of: NDArray[np.int64], replicates: int, seed: int
) -> NDArray[np.float64]:
    """Return how often each face is drawn with its person, per cohort, (1 + R, N); in the first row once."""
    random = np.random.default_rng(seed)
    weight = np.ones((1 + replicates, len(cohort_of)))
    for cohort in np.unique(cohort_of):
        members = np.flatnonzero(cohort_of == cohort)
        people, person = np.unique(person_of[members], return_inverse=True)
        draws = random.integers(len(people), size=(replicates, len(people)))
        times = np.stack([np.bincount(draw, minlength=len(people)) for draw in draws]) if replicates else draws
        weight[1:, members] = times[:, person]
    return weight


def _rates_of(name: str, faces: CohortFaces, weight: NDArray[np.float64], thresholds: Sequence[float]) -> CohortRates:
    impostor, scores = _different_people(faces), faces.embeddings.scores(faces.embeddings)
    genuine = np.triu(~impostor, 1)
    return CohortRates(
        name=name,
        people=len(np.unique(faces.person_of)),
        images=len(faces.embeddings),
        impostor_pairs=int(impostor.sum()) // 2,
        genuine_pairs=int(genuine.sum()),
        median_inside=float(np.median(faces.inside)),
        fmr=_weighted_rates(scores, impostor, weight, thresholds),
        tmr=_genuine_rates(scores, genuine, weight, thresholds),
        view_fnmr=_view_fnmr(faces, weight, thresholds),
    )


def _weighted_rates(
    scores: Floats, pairs: NDArray[np.bool_], weight: NDArray[np.float64], thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Return the share of pairs (N, N) within each threshold, (1 + R, T); a pair weighs the product of its faces."""
    total = _total_weight(pairs, weight)
    within = [_total_weight(pairs & (scores <= threshold), weight) for threshold in thresholds]
    return np.stack(within, axis=1) / np.maximum(total, 1e-12)[:, None]


def _genuine_rates(
    scores: Floats, genuine: NDArray[np.bool_], weight: NDArray[np.float64], thresholds: Sequence[float]
) -> NDArray[np.float64]:
    """Return the share of genuine pairs (N, N) within each threshold, (1 + R, T); a pair weighs as its person."""
    within = [weight @ (genuine & (scores <= threshold)).sum(axis=1) for threshold in thresholds]
    with np.errstate(invalid="ignore"):
        rates: NDArray[np.float64] = np.array(within).T / (weight @ genuine.sum(axis=1))[:, None]
    return rates


def _view_fnmr(faces: CohortFaces, weight: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return the share of photos (N,) that do not match their degraded copies, (1 + R, T)."""
    if faces.degraded is None:
        return np.full((len(weight), len(thresholds)), np.nan)
    missed = np.greater.outer(faces.embeddings.paired_scores(faces.degraded), thresholds)  # (N, T)
    return np.asarray(weight @ missed / weight.sum(axis=1, keepdims=True))


def _total_weight(pairs: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the total weight of `pairs` (N, N) in each sample, (1 + R,)."""
    return np.asarray(((weight @ pairs.astype(np.float64)) * weight).sum(axis=1))
