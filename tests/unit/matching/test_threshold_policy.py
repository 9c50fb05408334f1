"""The threshold of a decision, and the source that is stated for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.comparisons import Distance, FacePair, OperatingPoint
from app.domain.errors import UnsupportedOperatingPoint
from app.matching.threshold_policy import Decision, ThresholdPolicy, fmr_per_comparison
from tests.support.calibrations import RATES, calibration, rates

POLICY = ThresholdPolicy(calibration(), default_fmr=1e-3, default_fpir=1e-2)
UNCALIBRATED = ThresholdPolicy(None, default_fmr=1e-3, default_fpir=1e-2)
TEMPLATES = st.integers(1, 10_000_000)
RATE = st.floats(1e-9, 0.999)


def pair(distance: float, offset: float = 0.0) -> FacePair:
    return FacePair(Distance(distance), offset)


@pytest.mark.parametrize(
    ("decision", "source", "threshold", "overall_fmr"),
    [
        (POLICY.for_verification(), "default", 1.0, 1e-3),
        (POLICY.for_verification(fmr=0.02), "fmr", 1.5, 0.02),
        (POLICY.for_identification(fpir=0.5, templates=10), "fpir", 1.5, 0.5),
        (
            POLICY.for_identification(templates=1000),
            "default",
            0.5,
            1 - (1 - 1e-4) ** 1000,
        ),  # finest
    ],
)
def test_a_decision_states_its_source_and_keeps_its_rate(
    decision: Decision, source: str, threshold: float, overall_fmr: float
) -> None:
    assert (decision.source, decision.point.threshold) == (source, threshold)
    assert decision.overall_fmr == pytest.approx(overall_fmr)


@pytest.mark.parametrize("policy", [POLICY, UNCALIBRATED], ids=["calibrated", "uncalibrated"])
def test_a_threshold_that_was_asked_for_decides(policy: ThresholdPolicy) -> None:
    for decision in (policy.for_verification(threshold=0.7), policy.for_identification(threshold=0.7, templates=5)):
        assert (decision.source, decision.point.threshold) == ("request", 0.7)


def test_the_rates_of_a_threshold_that_was_asked_for_are_told() -> None:
    assert POLICY.for_verification(threshold=1.2).point.fmr == 1e-2
    assert POLICY.for_identification(threshold=1.2, templates=2).overall_fmr == pytest.approx(1 - 0.99**2)


def test_without_a_calibration_the_usual_threshold_decides_and_promises_nothing() -> None:
    assert UNCALIBRATED.compare(pair(0.0), UNCALIBRATED.for_verification()).probability is None
    for decision in (UNCALIBRATED.for_verification(), UNCALIBRATED.for_identification(templates=5)):
        assert (decision.source, decision.point.threshold) == ("uncalibrated", 1.1)
        assert (decision.point.fmr, decision.point.fnmr, decision.overall_fmr) == (None, None, None)


def test_without_a_calibration_no_rate_can_be_asked_for() -> None:
    with pytest.raises(UnsupportedOperatingPoint, match="ask for a threshold"):
        UNCALIBRATED.for_verification(fmr=0.01)
    with pytest.raises(UnsupportedOperatingPoint, match="ask for a threshold"):
        UNCALIBRATED.for_identification(fpir=0.01, templates=1)


def test_a_rate_finer_than_the_data_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(UnsupportedOperatingPoint):
        POLICY.for_verification(fmr=9e-5)
    with pytest.raises(UnsupportedOperatingPoint):
        POLICY.for_identification(fpir=1e-2, templates=1000)


@pytest.mark.parametrize("templates", [1, 2, 3, 7, 50])
def test_a_rate_is_told_exactly_as_it_was_asked_for(templates: int) -> None:
    policy = ThresholdPolicy(calibration(rates=RATES), default_fmr=0.1, default_fpir=0.1)
    for rate in (0.1, 0.07, 0.3):
        assert policy.for_verification(fmr=rate, templates=templates).overall_fmr == rate
        assert policy.for_identification(fpir=rate, templates=templates).overall_fmr == rate
    assert policy.for_verification(templates=templates).overall_fmr == 0.1


def test_a_computed_rate_has_no_digits_of_the_computation() -> None:
    assert OperatingPoint(1.0, 1e-4, None).fpir(1) == 1e-4
    assert decision_of(1 - 0.9999, 1).overall_fmr == 1e-4
    assert decision_of(0.005, 2).overall_fmr == 0.009975


@pytest.mark.parametrize(("templates", "faces"), [(1, "one face"), (2, "2 faces"), (300, "300 faces")])
def test_a_rate_that_is_too_fine_is_repeated_with_the_smallest_that_works(templates: int, faces: str) -> None:
    with pytest.raises(UnsupportedOperatingPoint) as caught:
        POLICY.for_verification(fmr=1e-9, templates=templates)
    said = str(caught.value)

    assert said.endswith("got 1e-09")
    assert f" against {faces}, " in said
    smallest = float(said.removeprefix("expected fmr of at least ").split()[0])
    assert POLICY.for_verification(fmr=smallest, templates=templates).overall_fmr == smallest
    with pytest.raises(UnsupportedOperatingPoint):
        POLICY.for_verification(fmr=0.9 * smallest, templates=templates)


@given(templates=TEMPLATES, first=st.integers(0, 2))
def test_a_default_never_fails(templates: int, first: int) -> None:
    policy = ThresholdPolicy(calibration(rates=RATES[first:]), default_fmr=1e-3, default_fpir=1e-2)
    assert policy.for_identification(templates=templates).point.fmr is not None
    assert policy.for_verification(templates=templates).point.fmr is not None


@given(few=TEMPLATES, many=TEMPLATES)
def test_the_threshold_never_loosens_as_the_gallery_grows(few: int, many: int) -> None:
    small, large = (POLICY.for_identification(templates=count) for count in sorted([few, many]))
    assert small.point.threshold >= large.point.threshold


@given(rate=RATE, templates=TEMPLATES)
def test_comparisons_held_to_their_share_hold_the_whole_to_the_rate(rate: float, templates: int) -> None:
    each = fmr_per_comparison(rate, templates)
    assert 0 < each <= rate
    assert decision_of(each, templates).overall_fmr == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("templates", [1, 2, 1000])
def test_the_chance_of_any_false_match_is_1_less_the_chance_of_none(templates: int) -> None:
    assert decision_of(1e-3, templates).overall_fmr == pytest.approx(1 - (1 - 1e-3) ** templates)


@pytest.mark.parametrize("templates", [1, 2, 1000])
def test_a_rate_of_1_asks_nothing_of_a_comparison(templates: int) -> None:
    assert fmr_per_comparison(1.0, templates) == 1.0
    assert POLICY.for_identification(fpir=1.0, templates=templates).point.threshold == 4.0


def test_an_empty_gallery_is_held_to_one_comparison() -> None:
    assert POLICY.for_identification(templates=0) == POLICY.for_identification(templates=1)


@pytest.mark.parametrize(("distance", "match"), [(0.999, True), (1.0, True), (1.001, False)])
def test_a_pair_matches_up_to_and_at_the_threshold(distance: float, match: bool) -> None:  # noqa: FBT001
    compared = POLICY.compare(pair(distance), POLICY.for_verification())
    assert (compared.match, compared.distance.squared_l2, compared.point.threshold) == (match, distance, 1.0)
    assert compared.probability == POLICY.probability(distance)


@pytest.mark.parametrize(("offset", "match"), [(-0.25, True), (0.0, True), (0.25, True), (0.5, False)])
def test_the_threshold_for_a_pair_is_the_base_less_its_offset(offset: float, match: bool) -> None:  # noqa: FBT001
    decision = POLICY.for_verification()
    compared = POLICY.compare(pair(0.75, offset), decision)

    assert (compared.match, compared.point.threshold, decision.point.threshold) == (match, 1.0 - offset, 1.0)
    assert (compared.point.fmr, compared.point.fnmr) == (decision.point.fmr, decision.point.fnmr)
    assert compared.probability == POLICY.probability(0.75 + offset)


def test_without_a_calibration_offsets_are_taken_off_the_usual_threshold() -> None:
    compared = UNCALIBRATED.compare(pair(0.75, 0.5), UNCALIBRATED.for_verification())
    assert (compared.match, compared.point.threshold) == (False, 1.1 - 0.5)


@pytest.mark.parametrize(("offset", "fmr", "fnmr"), [(-0.5, 1e-3, 0.5), (0.0, 1e-3, 0.25), (0.5, 1e-2, 0.125)])
def test_a_plain_threshold_is_the_same_for_all_pairs_and_its_rates_are_not(
    offset: float, fmr: float, fnmr: float
) -> None:
    calibrated = ThresholdPolicy(calibration(rates=(rates(0.5, 1e-3, 0.5), *RATES[1:])), 1e-3, 1e-2)
    compared = calibrated.compare(pair(0.9, offset), calibrated.for_verification(threshold=1.0))

    assert (compared.match, compared.point) == (True, OperatingPoint(1.0, fmr, fnmr))
    assert compared.probability == calibrated.probability(0.9 + offset)


def decision_of(fmr: float, templates: int) -> Decision:
    """Return a decision for `templates` comparisons at `fmr` each."""
    return Decision(OperatingPoint(1.0, fmr, None), "fmr", templates)
