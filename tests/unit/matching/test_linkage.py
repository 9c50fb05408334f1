"""Average linkage where many scores are equal, so that the nearest group is not the only one."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.matching.linkage import average_linkage


@given(seed=st.integers(0, 10_000), count=st.integers(1, 20), whole=st.integers(-1, 3))
def test_equal_scores_end_in_groups_whose_means_are_beyond_the_threshold(seed: int, count: int, whole: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, (count, count)).astype(np.float32)
    scores = np.minimum(scores, scores.T)
    threshold = whole + 0.414  # no mean of up to 100 whole numbers is within rounding of it
    labels = average_linkage(scores, threshold)
    groups = [labels == label for label in range(labels.max() + 1)]
    assert sum(group.sum() for group in groups) == count
    assert all(scores[np.ix_(first, second)].mean() > threshold for first, second in combinations(groups, 2))


def test_scores_that_differ_with_the_direction_are_not_followed_in_a_circle() -> None:
    scores = np.array([[0, 1, 2], [2, 0, 1], [1, 2, 0]], np.float32)  # each is nearest to the next
    assert average_linkage(scores, 3).tolist() == [0, 0, 0]
