"""Pairwise scores against scikit-learn's confusion matrix of pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.cluster import pair_confusion_matrix

from app.matching.pairwise_scores import pairwise_scores

PHOTOS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


@given(photos=PHOTOS)
def test_pairs_are_counted_as_scikit_learn_counts_them(photos: list[tuple[int, int]]) -> None:
    groups, people = zip(*photos, strict=True)
    found = pairwise_scores(groups, people)
    (_, wrong), (missed, right) = pair_confusion_matrix(people, groups) // 2
    assert (found.both, found.grouped, found.same_person) == (right, right + wrong, right + missed)


def test_a_wrong_photo_lowers_precision_and_a_split_lowers_recall() -> None:
    found = pairwise_scores([0, 0, 0, 1], ["ada", "ada", "bob", "bob"])
    assert [found.precision, found.recall] == pytest.approx([1 / 3, 1 / 2])


def test_scores_of_no_pairs_are_1() -> None:
    found = pairwise_scores([0, 1], ["ada", "bob"])
    assert (found.precision, found.recall) == (1, 1)
