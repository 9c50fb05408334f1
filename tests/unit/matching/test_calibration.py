"""The rates of a calibration are never better than the measured ones; its cohorts, probability and file."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.errors import StartError, UnsupportedOperatingPoint
from app.matching.calibration import CALIBRATION, Calibration, ProbabilityMap, Rates, read_calibration
from tests.support.calibrations import COHORTS, MODEL, RATES, calibration, rates

PERCENT = st.integers(0, 100).map(lambda number: number / 100)
DISTANCES = st.floats(0, 4)
RATE = st.floats(1e-9, 1)
BROKEN = {
    "empty": "",
    "cut off": calibration().model_dump_json()[:100],
    "no object": "[]",
    "a field missing": "{}",
    "a field unknown": calibration().model_dump_json().replace('"fmr_scope"', '"oath"'),
}


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Draw rates from threshold 0 to 4, FMR rising and FNMR falling, often with equal neighbours."""
    inner = sorted(draw(st.sets(st.integers(1, 399), max_size=12)))
    thresholds = [0.0, *(number / 100 for number in inner), 4.0]
    fmrs = sorted(draw(st.lists(PERCENT, min_size=len(inner), max_size=len(inner))))
    fnmrs = sorted(draw(st.lists(PERCENT, min_size=len(inner), max_size=len(inner))), reverse=True)
    columns = zip(thresholds, [0.0, *fmrs, 1.0], [1.0, *fnmrs, 0.0], strict=True)
    finest = draw(st.sampled_from([1e-6, 0.01, 0.3]))
    return calibration(rates=tuple(rates(*column) for column in columns), finest_fmr=finest)


def measured_at(measured: Sequence[Rates], threshold: float) -> Rates:
    return next(rates for rates in measured if rates.threshold == threshold)


@given(made=calibrations(), fmr=RATE)
def test_the_threshold_of_an_fmr_was_measured_to_keep_it(made: Calibration, fmr: float) -> None:
    asked = max(fmr, made.finest_fmr)
    point = made.at(asked)
    measured = measured_at(made.rates, point.threshold)
    assert measured.fmr <= asked
    assert (point.fmr, point.fnmr) == (asked, measured.fnmr)


@given(made=calibrations(), fmr=RATE)
def test_the_threshold_of_an_fmr_is_the_loosest_that_keeps_it(made: Calibration, fmr: float) -> None:
    asked = max(fmr, made.finest_fmr)
    threshold = made.at(asked).threshold
    assert all(rates.fmr > asked for rates in made.rates if rates.threshold > threshold)


@given(made=calibrations(), one=RATE, other=RATE)
def test_a_tighter_fmr_never_loosens_the_threshold(made: Calibration, one: float, other: float) -> None:
    tight, loose = (made.at(max(fmr, made.finest_fmr)) for fmr in sorted([one, other]))
    assert tight.threshold <= loose.threshold
    assert (tight.fnmr or 0) >= (loose.fnmr or 0)


@given(made=calibrations(), fmr=RATE)
def test_the_rates_at_the_threshold_of_an_fmr_are_no_worse_than_it(made: Calibration, fmr: float) -> None:
    promised = made.at(max(fmr, made.finest_fmr))
    stated = made.at_threshold(promised.threshold)
    assert (stated.fmr or 0) <= (promised.fmr or 0)
    assert stated.fnmr == promised.fnmr


@given(made=calibrations(), threshold=DISTANCES)
def test_the_rates_at_any_threshold_are_never_better_than_measured(made: Calibration, threshold: float) -> None:
    stated = made.at_threshold(threshold)
    below = [rates for rates in made.rates if rates.threshold <= threshold]
    assert below[-1].fmr <= (stated.fmr or made.finest_fmr)
    assert stated.fnmr is not None
    assert all(stated.fnmr >= rates.fnmr for rates in made.rates if rates.threshold >= threshold)


@given(made=calibrations(), one=DISTANCES, other=DISTANCES)
def test_the_rates_at_thresholds_rise_and_fall_with_them(made: Calibration, one: float, other: float) -> None:
    tight, loose = (made.at_threshold(threshold) for threshold in sorted([one, other]))
    assert (tight.fmr or 0) <= (loose.fmr or 0)
    assert (tight.fnmr or 0) >= (loose.fnmr or 0)


def test_between_two_measured_thresholds_the_worse_rate_is_stated() -> None:
    point = calibration().at_threshold(1.2)
    assert (point.threshold, point.fmr, point.fnmr) == (1.2, 1e-2, 0.25)


@pytest.mark.parametrize(
    ("made", "fmr", "complaint"),
    [
        (calibration(), 9e-5, r"at least 0\.0001.* 45 pairs of people .* got 9e-05"),
        (calibration(rates=RATES[1:]), 5e-4, r"at least 0\.001, .* got 0\.0005"),
    ],
    ids=["smaller than the data support", "below the first that was measured"],
)
def test_too_small_an_fmr_is_refused_with_the_smallest(made: Calibration, fmr: float, complaint: str) -> None:
    with pytest.raises(UnsupportedOperatingPoint, match=complaint):
        made.at(fmr)


def test_an_fmr_smaller_than_the_data_support_is_not_stated() -> None:
    assert calibration().at_threshold(0.5).fmr is None
    assert calibration().at_threshold(0.5).fnmr == 0.5
    assert calibration().at(1.0).threshold == 4.0


@pytest.mark.parametrize(
    "unordered",
    [RATES[::-1], (RATES[0], RATES[0]), (rates(0.5, 0.2, 0.5), rates(1.0, 0.1, 0.4)), RATES[:1]],
    ids=["falling thresholds", "equal thresholds", "falling FMR", "only one"],
)
def test_rates_out_of_order_or_too_few_are_refused(unordered: tuple[Rates, ...]) -> None:
    with pytest.raises(ValidationError):
        calibration(rates=unordered)


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


@given(one=DISTANCES, other=DISTANCES, slope=st.floats(0.1, 1e6), intercept=st.floats(-1e6, 1e6))
def test_a_nearer_pair_is_never_less_probable(one: float, other: float, slope: float, intercept: float) -> None:
    made = calibration(probability=ProbabilityMap(slope=slope, intercept=intercept))
    near, far = (made.probability_at(distance) for distance in sorted([one, other]))
    assert 0 <= far <= near <= 1


def test_the_probability_is_the_logistic_function_of_the_score() -> None:
    assert calibration().probability_at(2.0) == 0.5
    assert calibration().probability_at(1.0) == pytest.approx(1 / (1 + math.exp(-5)))


def written(folder: Path, text: str) -> Path:
    (folder / CALIBRATION).write_text(text)
    return folder


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = calibration(**COHORTS)
    assert read_calibration(written(tmp_path, made.model_dump_json()), MODEL) == made


def test_a_model_may_have_no_calibration(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, MODEL) is None


def test_the_calibration_of_another_model_is_refused_with_both_names(tmp_path: Path) -> None:
    written(tmp_path, calibration().model_dump_json())
    with pytest.raises(StartError, match=rf"measured on {MODEL}, the model here is sha256:other: calibrate again"):
        read_calibration(tmp_path, "sha256:other")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_calibration_is_refused_by_its_path(tmp_path: Path, fault: str) -> None:
    written(tmp_path, BROKEN[fault])
    with pytest.raises(StartError, match=rf"{tmp_path / CALIBRATION} is not a calibration"):
        read_calibration(tmp_path, MODEL)


@pytest.mark.parametrize(
    ("measured", "used", "complaint"),
    [
        (None, "sha256:b", "without threshold offsets, the model here is used with the threshold offsets sha256:b"),
        ("sha256:a", None, "with the threshold offsets sha256:a, the model here is used without threshold offsets"),
        ("sha256:a", "sha256:b", "sha256:a, the model here is used with the threshold offsets sha256:b: calibrate"),
    ],
    ids=["without", "with, used without", "with others"],
)
def test_a_calibration_with_other_threshold_offsets_is_refused(
    tmp_path: Path, measured: str | None, used: str | None, complaint: str
) -> None:
    written(tmp_path, calibration(threshold_offset=measured).model_dump_json())
    with pytest.raises(StartError, match=complaint):
        read_calibration(tmp_path, MODEL, used)
    assert read_calibration(tmp_path, MODEL, measured) is not None
