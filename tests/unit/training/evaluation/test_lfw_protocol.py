"""Weighted pairs equal repeated ones; curves equal scikit-learn's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from training.evaluation import lfw_protocol
from training.evaluation.metrics import accuracy_over_folds, validation_over_folds
from training.evaluation.pairs import PairList

SIZE = 240
Doubles = NDArray[np.float64]


@pytest.fixture
def pairs() -> PairList:
    """Pairs in four folds, of forty people with two photos each."""
    random = np.random.default_rng(4)
    same = np.arange(SIZE) % 2 == 0
    person = random.integers(40, size=SIZE)
    other = np.where(same, person, (person + random.integers(1, 40, size=SIZE)) % 40)
    images = tuple(f"person{number // 2:02d}/{number % 2}.jpg" for number in range(80))
    return PairList(images, 2 * person, 2 * other + 1, same, np.arange(SIZE) // (SIZE // 4))


@pytest.fixture
def distances(pairs: PairList) -> Doubles:
    return np.random.default_rng(5).normal(np.where(pairs.same, 0.9, 1.6), 0.3).clip(0, 4)


def repeated(
    pairs: PairList, distances: Doubles, weight: Doubles
) -> tuple[Doubles, NDArray[np.bool_], NDArray[np.int64]]:
    times = np.repeat(np.arange(SIZE), weight.astype(int))
    return distances[times], pairs.same[times], pairs.fold[times]


@pytest.mark.parametrize("weight", [np.ones(SIZE), np.random.default_rng(6).integers(0, 4, SIZE).astype(float)])
def test_a_pair_of_weight_w_counts_as_w_pairs(pairs: PairList, distances: Doubles, weight: Doubles) -> None:
    more = repeated(pairs, distances, weight)
    accuracy = lfw_protocol.weighted_accuracy(distances, pairs, weight)
    assert accuracy == pytest.approx(accuracy_over_folds(*more).mean)
    validation = lfw_protocol.weighted_validation(distances, pairs, weight, lfw_protocol.FAR)
    assert validation == pytest.approx(validation_over_folds(*more, lfw_protocol.FAR).mean)


def test_the_same_distances_gain_nothing_and_better_ones_do(pairs: PairList, distances: Doubles) -> None:
    better = np.where(pairs.same, distances - 0.4, distances)
    nothing = lfw_protocol.gain(distances, distances, pairs, 20)
    assert nothing["accuracy"] == {"mean": 0.0, "interval": (0.0, 0.0)}
    assert lfw_protocol.gain(better, distances, pairs, 50)["accuracy"]["interval"][0] > 0


def test_val_is_stated_at_the_finest_far_that_the_other_folds_support(pairs: PairList, distances: Doubles) -> None:
    others = [pairs.first[(pairs.fold != fold) & ~pairs.same] // 2 for fold in range(4)]
    assert [len(each) for each in others] == [90] * 4
    report = lfw_protocol.report(distances, pairs)
    assert 3 / 90 <= report["val"]["far"] < 3 / 80  # a few pairs of people occur twice
    rest = np.sort(distances[(pairs.fold != 0) & ~pairs.same])
    assert np.mean(rest <= report["val"]["thresholds"][0]) == pytest.approx(3 / 90, abs=1 / 90)
    assert min(point["fmr"] for point in report["curve"]) >= 2 / 120


def test_many_pairs_of_people_support_the_far_of_facenet() -> None:
    count = 8000
    images = tuple(f"person{number}/1.jpg" for number in range(2 * count))
    same, fold = np.zeros(count, bool), np.arange(count) % 10
    strangers = PairList(images, np.arange(count), np.arange(count, 2 * count), same, fold)
    assert lfw_protocol.supported_far(strangers) == lfw_protocol.FAR


def test_more_pairs_of_the_same_two_people_support_nothing_finer() -> None:
    images = tuple(f"{name}/{number}.jpg" for name in ("ann", "bob", "cy", "dee") for number in range(50))
    first, same = np.arange(100), np.zeros(100, bool)
    repeated = PairList(images, first, first + 100, same, np.arange(100) % 2)
    assert repeated.impostor_people_pairs(np.ones(100, bool)) == 2
    assert lfw_protocol.supported_far(repeated) == 1


def test_the_curve_and_its_area_are_scikit_learns(pairs: PairList, distances: Doubles) -> None:
    report = lfw_protocol.report(distances, pairs)
    assert report["auc"] == pytest.approx(roc_auc_score(pairs.same, -distances))
    fmr, tmr, _ = roc_curve(pairs.same, -distances, drop_intermediate=False)
    for point in report["curve"]:
        assert 1 - point["fnmr"] == pytest.approx(tmr[np.flatnonzero(fmr <= point["fmr"] + 1e-12)[-1]], abs=0.03)


def test_pairs_without_people_have_no_gain(pairs: PairList, distances: Doubles) -> None:
    strange = PairList(tuple(f"{n}.jpg" for n in range(80)), pairs.first, pairs.second, pairs.same, pairs.fold)
    assert strange.person_of is None
    with pytest.raises(ValueError, match="folders"):
        lfw_protocol.gain(distances, distances, strange, 1)
