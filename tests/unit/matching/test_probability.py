"""The probability that two faces are one person's, at equal prior odds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.models import Distance
from app.matching.calibration import ProbabilityMap
from tests.support.calibrations import calibration

DISTANCES = st.floats(0, 4)


@given(one=DISTANCES, other=DISTANCES, slope=st.floats(0.1, 1e6), intercept=st.floats(-1e6, 1e6))
def test_a_nearer_pair_is_never_less_probably_one_person(
    one: float, other: float, slope: float, intercept: float
) -> None:
    made = calibration(probability=ProbabilityMap(slope=slope, intercept=intercept))
    near, far = (made.probability_at(Distance(distance)) for distance in sorted([one, other]))

    assert 0 <= far <= near <= 1


def test_the_probability_is_the_logistic_function_of_the_distance() -> None:
    assert calibration().probability_at(Distance(2.0)) == 0.5
    assert calibration().probability_at(Distance(1.0)) == pytest.approx(1 / (1 + math.exp(-5)))
