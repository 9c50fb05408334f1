"""The cohort that a threshold serves worst."""

import pytest
from pydantic import ValidationError

from tests.support.calibrations import COHORTS, calibration


@pytest.mark.parametrize(
    ("threshold", "name", "fmr"),
    [(0.4, "pilots", 0.01), (0.5, "pilots", 0.01), (0.6, "sailors", 0.02), (1.01, "pilots", 0.5)],
)
def test_the_worst_cohort_is_that_of_the_next_threshold_measured(threshold: float, name: str, fmr: float) -> None:
    worst = calibration(**COHORTS).worst_cohort(threshold)

    assert worst is not None
    assert (worst.name, worst.fmr, worst.data.name) == (name, fmr, "crews")


def test_beside_the_worst_cohort_stands_what_strangers_of_different_cohorts_come_to() -> None:
    worst = calibration(**COHORTS).worst_cohort(0.6)

    assert worst is not None
    assert worst.between_fmr == 0.005


def test_a_promise_for_the_worst_rests_on_the_pairs_of_the_smallest_cohort() -> None:
    assert calibration(**COHORTS, fmr_scope="worst_cohort").people_pairs == 10
    assert calibration(**COHORTS).people_pairs == 45
    with pytest.raises(ValidationError, match="expected cohorts"):
        calibration(fmr_scope="worst_cohort")


def test_there_is_no_worst_cohort_where_none_was_measured_or_not_so_far() -> None:
    assert calibration().worst_cohort(1.0) is None
    assert calibration(**COHORTS).worst_cohort(1.6) is None


def test_there_is_no_worst_cohort_where_no_stranger_matched() -> None:
    quiet = tuple(cohort.model_copy(update={"fmr": (0.0, 0.0, 0.1)}) for cohort in COHORTS["cohorts"])

    assert calibration(**(COHORTS | {"cohorts": quiet})).worst_cohort(0.9) is None


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
def test_cohorts_that_are_not_whole_are_no_calibration(parts: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError):
        calibration(**(COHORTS | parts))
