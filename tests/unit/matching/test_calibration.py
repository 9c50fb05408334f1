"""The rates of a calibration are never better than the measured ones."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.errors import UnsupportedOperatingPoint
from app.matching.calibration import Calibration, Rates
from tests.support.calibrations import RATES, calibration, rates

PERCENT = st.integers(0, 100).map(lambda number: number / 100)
DISTANCES = st.floats(0, 4)
RATE = st.floats(1e-9, 1)


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
def test_a_tighter_fmr_never_loosens_the_threshold_nor_lowers_the_fnmr(
    made: Calibration, one: float, other: float
) -> None:
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
def test_the_rates_at_any_threshold_are_never_better_than_those_measured_beside_it(
    made: Calibration, threshold: float
) -> None:
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


def test_an_fmr_smaller_than_the_data_support_is_refused_with_the_smallest() -> None:
    with pytest.raises(UnsupportedOperatingPoint, match=r"at least 0\.0001.* 45 pairs of people .* got 9e-05"):
        calibration().at(9e-5)


def test_an_fmr_below_the_first_that_was_measured_is_refused() -> None:
    with pytest.raises(UnsupportedOperatingPoint, match=r"at least 0\.001, .* got 0\.0005"):
        calibration(rates=RATES[1:]).at(5e-4)


def test_an_fmr_smaller_than_the_data_support_is_not_stated() -> None:
    assert calibration().at_threshold(0.5).fmr is None
    assert calibration().at_threshold(0.5).fnmr == 0.5


def test_at_an_fmr_of_1_everything_matches() -> None:
    assert calibration().at(1.0).threshold == 4.0


@pytest.mark.parametrize(
    "unordered",
    [RATES[::-1], (RATES[0], RATES[0]), (rates(0.5, 0.2, 0.5), rates(1.0, 0.1, 0.4)), RATES[:1]],
    ids=["falling thresholds", "equal thresholds", "falling FMR", "only one"],
)
def test_rates_out_of_order_or_too_few_are_refused(unordered: tuple[Rates, ...]) -> None:
    with pytest.raises(ValidationError):
        calibration(rates=unordered)
