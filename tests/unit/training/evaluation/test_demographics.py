"""False match rates within and between cohorts, compared with plain loops."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.photo_groups import PhotoGroups
from training.errors import TrainingError
from training.evaluation import demographics_report
from training.evaluation.demographics import CohortFaces, cohort_rates, first_per_person, infer_people, measure
from training.evaluation.demographics_report import FEW_PEOPLE, CohortQuery
from training.pipeline.embeddings import Embeddings
from training.pipeline.served_model import ServedModel

THRESHOLDS = [0.9, 1.4]


def faces(cohort_of: Sequence[int], person_of: Sequence[int], seed: int = 0) -> CohortFaces:
    """Return random unit vectors (N, 4), with offsets, of these cohorts and people."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((len(cohort_of), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    inside = np.linspace(0.5, 1, len(cohort_of), dtype=np.float32)
    names = tuple(f"cohort{number}" for number in range(max(cohort_of) + 1))
    embeddings = Embeddings(vectors.astype(np.float32), random.normal(0, 0.2, len(cohort_of)).astype(np.float32))
    return CohortFaces(names, embeddings, np.array(cohort_of), np.array(person_of), inside)


def score(given: CohortFaces, a: int, b: int) -> float:
    vectors, offsets = given.embeddings.vectors, given.embeddings.offsets
    return float(((vectors[a] - vectors[b]) ** 2).sum() + offsets[a] + offsets[b])


def share(given: CohortFaces, pairs: list[tuple[int, int]], threshold: float) -> float:
    return float(np.mean([score(given, a, b) <= threshold for a, b in pairs]))


@pytest.fixture
def crowd() -> CohortFaces:
    """Three cohorts, some people with two photos; person 3 is in two of them."""
    return faces([0] * 9 + [1] * 8 + [2] * 7, [0, 0, 1, 2, 3, 4, 5, 6, 6, 3, 8, 9, 9, 10, 11, 12, 13, *range(20, 27)])


def test_within_a_cohort_each_impostor_pair_counts_once(crowd: CohortFaces) -> None:
    measured = measure(crowd, THRESHOLDS, replicates=0).cohorts[0]
    pairs = [(a, b) for a, b in combinations(range(9), 2) if crowd.person_of[a] != crowd.person_of[b]]
    assert (measured.name, measured.people, measured.images, measured.impostor_pairs) == ("cohort0", 7, 9, len(pairs))
    np.testing.assert_allclose(measured.fmr, [[share(crowd, pairs, t) for t in THRESHOLDS]])
    np.testing.assert_allclose(measured.tmr, [[share(crowd, [(0, 1), (7, 8)], t) for t in THRESHOLDS]])


def test_between_cohorts_a_person_in_both_is_no_impostor(crowd: CohortFaces) -> None:
    measured = measure(crowd, THRESHOLDS, replicates=0)
    pairs = [
        (a, b)
        for a, b in combinations(range(24), 2)
        if crowd.cohort_of[a] != crowd.cohort_of[b] and crowd.person_of[a] != crowd.person_of[b]
    ]
    assert measured.between_pairs == len(pairs)
    np.testing.assert_allclose(measured.between, [[share(crowd, pairs, t) for t in THRESHOLDS]])


def test_a_bootstrap_sample_draws_people_within_their_cohort() -> None:
    given = faces([0] * 4, [0, 0, 1, 2])
    sampled = cohort_rates(given, [1.4], replicates=300, seed=5)[0].fmr[1:, 0]
    draws = np.random.default_rng(5).integers(3, size=(300, 3))

    def rate(times: NDArray[np.int64]) -> float:
        weights = [times[given.person_of[a]] * times[given.person_of[b]] for a, b in strangers]
        near = [score(given, a, b) <= 1.4 for a, b in strangers]
        return float(np.dot(weights, near) / max(sum(weights), 1e-12))

    strangers = [(a, b) for a, b in combinations(range(4), 2) if given.person_of[a] != given.person_of[b]]
    np.testing.assert_allclose(sampled, [rate(np.bincount(draw, minlength=3)) for draw in draws])


def test_photos_close_through_others_are_of_one_person_and_the_first_counts() -> None:
    angles = np.radians([0, 40, 80, 180])  # neighbours at 0.47, ends of the chain at 1.65
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    person_of = infer_people([vectors])
    assert len(set(person_of[:3])) == 1
    assert person_of[3] != person_of[0]
    assert first_per_person(np.zeros(4, int), person_of).tolist() == [True, False, False, True]
    assert first_per_person(np.array([0, 0, 1, 1]), person_of).tolist() == [True, False, True, True]


def test_a_repeat_according_to_one_model_counts_for_all() -> None:
    apart, near = np.eye(3, dtype=np.float32), np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    assert infer_people([apart, near]).tolist() == infer_people([near]).tolist()


def test_cohorts_without_two_people_are_refused() -> None:
    with pytest.raises(TrainingError, match="two people"):
        measure(faces([0, 0, 1], [0, 0, 1]), THRESHOLDS)


def test_the_rule_of_three_bounds_the_rate_if_no_pair_matched() -> None:
    quiet = cohort_rates(faces([0] * 5, range(5)), [-1.0], replicates=20)[0]
    assert [quiet.fmr[0, 0], *quiet.interval(0)] == [0, 0, pytest.approx(3 / 10)]


def test_a_photo_that_misses_its_degraded_copy_bounds_the_fnmr(crowd: CohortFaces) -> None:
    copies = faces(crowd.cohort_of.tolist(), crowd.person_of.tolist(), seed=1).embeddings
    originals = crowd.embeddings
    measured = measure(replace(crowd, degraded=copies), THRESHOLDS, replicates=3).cohorts[0]
    scores = [
        float(
            ((originals.vectors[row] - copies.vectors[row]) ** 2).sum() + originals.offsets[row] + copies.offsets[row]
        )
        for row in range(9)
    ]
    np.testing.assert_allclose(measured.view_fnmr[0], [np.mean([s > t for s in scores]) for t in THRESHOLDS])
    assert np.isnan(measure(crowd, THRESHOLDS, replicates=3).cohorts[0].view_fnmr).all()


def test_a_small_cohort_is_never_the_worst(models_dir: Path) -> None:
    model = ServedModel.open(models_dir / "mobilefacenet-128")
    cohort_of = np.repeat([0, 1, 2], [FEW_PEOPLE, FEW_PEOPLE + 1, FEW_PEOPLE - 1])
    given = faces(cohort_of.tolist(), range(len(cohort_of)))
    given.embeddings.vectors[cohort_of == 2] = [1, 0, 0, 0]  # all alike
    given.embeddings.offsets[cohort_of == 2] = 0
    rates = [measure(given.select(kept), [0.9], replicates=2) for kept in (cohort_of >= 0, cohort_of < 2)]
    reports = [demographics_report._report(model, 0.9, each) for each in rates]
    counts = {"images": 120, "faces_not_found": 0, "repeats": 0, "median_inside": 1.0}
    with_few, only_large = (demographics_report.summary(report | counts) for report in reports)
    worst = max(rates[1].cohorts, key=lambda cohort: float(cohort.fmr[0, 0])).name
    assert [report["cohorts"][0]["name"] for report in reports] == ["cohort2", worst]
    assert [report["worst"]["name"] for report in reports] == [worst, worst]
    assert f"worst cohort of {FEW_PEOPLE} people or more: {worst}, FMR" in with_few
    assert "1 smaller cohorts together: FMR 1 [1, 1], 741 pairs" in with_few
    assert reports[1]["few_people"] is None
    assert "smaller" not in only_large


def test_a_query_without_a_threshold_or_a_cohort_is_refused(models_dir: Path) -> None:
    uncalibrated = ServedModel.open_uncalibrated(models_dir / "mobilefacenet-128")
    assert CohortQuery(0.7).threshold_of(uncalibrated) == 0.7
    with pytest.raises(TrainingError, match="mobilefacenet-128 has no calibration: give --threshold"):
        CohortQuery().threshold_of(uncalibrated)
    photos = PhotoGroups((Path("a.jpg"), Path("b.jpg")), ("old", "young"), np.array([0, 1]), None)
    assert CohortQuery(only=("mid*", "y*")).select(photos).paths == (Path("b.jpg"),)
    with pytest.raises(TrainingError, match=r"no cohort is named like mid\*: expected one of old, young"):
        CohortQuery(only=("mid*",)).select(photos)
