"""Each measure compared with its definition, as a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.evaluation.metrics import (
    accuracy_over_folds,
    area_under_curve,
    best_threshold,
    equal_error_rate,
    share_within,
    threshold_at,
    validation_over_folds,
)

Doubles = NDArray[np.float64]
distance = st.integers(0, 400).map(lambda hundredths: hundredths / 100)
several = st.lists(distance, min_size=1, max_size=30).map(lambda values: np.sort(np.array(values)))


def accuracy(distances: Doubles, same: NDArray[np.bool_], threshold: float) -> float:
    return float(np.mean([(d <= threshold) == s for d, s in zip(distances, same, strict=True)]))


@given(genuine=several, impostors=several)
def test_no_other_threshold_is_more_accurate_than_the_best(genuine: Doubles, impostors: Doubles) -> None:
    distances = np.concatenate([genuine, impostors])
    same = np.arange(len(distances)) < len(genuine)
    best = accuracy(distances, same, best_threshold(distances, same))
    assert best == max(accuracy(distances, same, t) for t in [-1.0, *distances, 5.0])


@given(impostors=several, fmr=st.floats(0, 1))
def test_a_threshold_lets_at_most_its_share_of_impostors_pass(impostors: Doubles, fmr: float) -> None:
    assert share_within(impostors, threshold_at(impostors, fmr)) <= fmr + 1e-9


@given(impostors=several, fmr=st.floats(0, 0.999))
def test_a_threshold_is_the_loosest_that_keeps_its_fmr(impostors: Doubles, fmr: float) -> None:
    looser = threshold_at(impostors, fmr) + 2e-5
    assert share_within(impostors, looser) > fmr - 1e-9


@given(genuine=several, impostors=several)
def test_the_auc_is_the_probability_that_a_genuine_pair_is_closer(genuine: Doubles, impostors: Doubles) -> None:
    nearer = np.mean([(g < i) + 0.5 * (g == i) for g in genuine for i in impostors])
    assert area_under_curve(genuine, impostors) == pytest.approx(nearer)


def test_the_equal_error_rate_of_one_swapped_pair_in_four_is_a_quarter() -> None:
    genuine, impostors = np.array([0.1, 0.2, 0.3, 1.2]), np.array([0.9, 1.5, 1.6, 1.7])
    assert equal_error_rate(genuine, impostors) == pytest.approx(0.25)


def test_each_fold_is_judged_at_the_threshold_of_the_others() -> None:
    distances = np.array([0.1, 0.9, 0.5, 1.5])
    same, fold = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    scores = accuracy_over_folds(distances, same, fold)
    assert scores.thresholds == (1.0, 0.5)
    assert scores.folds == (0.5, 1.0)


def test_validation_is_the_true_match_rate_at_the_others_false_match_rate() -> None:
    distances = np.array([0.2, 0.8, 1.0, 0.4, 1.4, 2.0])
    same, fold = np.array([True, True, False, True, True, False]), np.array([0, 0, 0, 1, 1, 1])
    scores = validation_over_folds(distances, same, fold, far=0.0)
    assert scores.folds == (1.0, 0.5)
