"""The cohorts of a calibration."""

import pytest
from pydantic import ValidationError

from tests.support.calibrations import COHORTS, calibration


def test_a_promise_for_the_worst_rests_on_the_pairs_of_the_smallest_cohort() -> None:
    assert calibration(**COHORTS, fmr_scope="worst_cohort").people_pairs == 10
    assert calibration(**COHORTS).people_pairs == 45
    with pytest.raises(ValidationError, match="expected cohorts"):
        calibration(fmr_scope="worst_cohort")


@pytest.mark.parametrize(
    "parts",
    [
        {"cohorts": ()},
        {"between_cohorts": (0.1,)},
        {"cohort_thresholds": (0.5, 1.0)},
        {"cohort_thresholds": (0.5, 1.5, 1.0)},
    ],
    ids=["data without cohorts", "too few rates between", "too few thresholds", "unordered thresholds"],
)
def test_incomplete_cohorts_are_refused(parts: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError):
        calibration(**(COHORTS | parts))
