"""FMRs of the worst cohort hold in every cohort."""

import numpy as np
import pytest

from app.domain.arrays import Floats
from app.matching.calibration import Calibration
from tests.support.calibrations import DATA, MODEL
from training.calibration.fit import fit_calibration
from training.calibration.worst_cohort import for_worst_cohort, with_cohorts
from training.errors import TrainingError
from training.evaluation.all_pairs import AllPairs, all_pairs
from training.evaluation.demographics import CohortFaces, impostor_scores
from training.pipeline.embeddings import Embeddings


def people(count: int, photos: int, spread: float, seed: int, center: float = 0.0) -> Floats:
    """Return unit vectors (count * photos, 16) of people near `center`, whose photos differ by `spread`."""
    random = np.random.default_rng(seed)
    vectors = np.repeat(random.standard_normal((count, 16)), photos, axis=0)
    vectors += center + spread * random.standard_normal(vectors.shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def pairs() -> AllPairs:
    embeddings = Embeddings.without_offsets(people(60, 2, 0.3, seed=1))
    return all_pairs(embeddings, embeddings, np.repeat(np.arange(60), 2))


@pytest.fixture(scope="module")
def cohorts() -> CohortFaces:
    """Forty people at random, and thirty who look alike."""
    vectors = np.concatenate([people(40, 1, 0, seed=2), people(30, 1, 0, seed=3, center=0.7)])
    cohort_of = np.repeat([0, 1], [40, 30])
    return CohortFaces(
        ("any", "alike"), Embeddings.without_offsets(vectors), cohort_of, np.arange(70), np.full(70, 0.9, np.float32)
    )


@pytest.fixture(scope="module")
def average(pairs: AllPairs, cohorts: CohortFaces) -> Calibration:
    data = DATA.model_copy(update={"impostor_people_pairs": pairs.impostor_people_pairs})
    return with_cohorts(fit_calibration(MODEL, data, pairs), {"crews": cohorts})


def test_a_calibration_has_the_fmrs_within_and_between_cohorts(average: Calibration, cohorts: CohortFaces) -> None:
    column = average.cohort_thresholds.index(1.4)
    expected = [float(np.mean(distances <= 1.4)) for distances in impostor_scores(cohorts)]
    assert [cohort.fmr[column] for cohort in average.cohorts] == pytest.approx(expected)
    assert [cohort.median_inside for cohort in average.cohorts] == [0.9, 0.9]
    low, high = average.cohorts[1].fmr_interval[column]
    assert low < average.cohorts[1].fmr[column] < high
    apart = ((cohorts.embeddings.vectors[:40, None] - cohorts.embeddings.vectors[None, 40:]) ** 2).sum(axis=2)
    assert average.between_cohorts[column] == pytest.approx(np.mean(apart <= 1.4))


@pytest.mark.parametrize("fmr", [0.01, 0.05, 0.2])
def test_every_cohort_keeps_its_fmr(average: Calibration, pairs: AllPairs, cohorts: CohortFaces, fmr: float) -> None:
    threshold = for_worst_cohort(average, pairs, {"crews": cohorts}).at(fmr).threshold
    kept = [float(np.mean(each <= threshold)) for each in (*impostor_scores(cohorts), pairs.impostors.astype(float))]
    assert max(kept) <= fmr
    assert max(kept) > fmr - 0.02
    assert threshold < average.at(fmr).threshold


def test_the_smallest_cohort_sets_the_finest_fmr(average: Calibration, pairs: AllPairs, cohorts: CohortFaces) -> None:
    worst = for_worst_cohort(average, pairs, {"crews": cohorts})
    assert (worst.fmr_scope, worst.people_pairs) == ("worst_cohort", 30 * 29 // 2)
    assert worst.finest_fmr == pytest.approx(3 / (30 * 29 // 2))


def test_a_cohort_too_small_for_any_fmr_is_refused(average: Calibration, pairs: AllPairs, cohorts: CohortFaces) -> None:
    few = cohorts.select(np.arange(70) < 46)
    with pytest.raises(TrainingError, match="15 pairs of people"):
        for_worst_cohort(with_cohorts(average, {"crews": few}), pairs, {"crews": few})


def test_cohorts_of_several_sets_are_named_by_their_set(average: Calibration, cohorts: CohortFaces) -> None:
    both = with_cohorts(average, {"crews": cohorts, "guests": cohorts})
    assert [cohort.name for cohort in both.cohorts] == ["crews/any", "crews/alike", "guests/any", "guests/alike"]
    assert both.between_cohorts == pytest.approx(average.between_cohorts)
    assert both.cohort_data is not None
    assert (both.cohort_data.name, both.cohort_data.images) == ("crews, guests", 140)
