"""An answer tells the distance to an enrolled face by its step, and nothing beyond the bound."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.comparisons import Distance, FacePair, OperatingPoint
from app.domain.errors import InvalidRequest, UnsupportedOperatingPoint
from app.matching.score_release import (
    DISTANCE_STEP,
    STEPS_PER_UNIT,
    ScoreRelease,
    ScoreReleasePolicy,
    largest_threshold,
    whole_steps,
)
from app.matching.threshold_policy import Decision, ThresholdPolicy
from tests.support.calibrations import calibration

POLICY = ThresholdPolicy(calibration(), default_fmr=1e-3, default_fpir=1e-2)
UNCALIBRATED = ThresholdPolicy(None, default_fmr=1e-3, default_fpir=1e-2)
RELEASE = ScoreReleasePolicy(POLICY, max_threshold=1.25)
DISTANCES = st.floats(0, 4)


OFFSETS = st.floats(-0.5, 1)


def pair(distance: float, offset: float = 0.0) -> FacePair:
    return FacePair(Distance(distance), offset)


def at(threshold: float, bound: float = math.inf) -> ScoreRelease:
    return ScoreRelease(POLICY, Decision(OperatingPoint(threshold, None, None), "request"), bound)


def restricted(fmr: float | None = None, threshold: float | None = None, templates: int = 1) -> ScoreRelease:
    return RELEASE.for_verification(fmr=fmr, threshold=threshold, templates=templates, unrestricted=False)


@given(distance=DISTANCES, threshold=DISTANCES)
def test_reported_distance_is_a_step_and_agrees_with_the_decision(distance: float, threshold: float) -> None:
    compared = at(threshold).compare(pair(distance))
    reported = compared.distance.squared_l2

    assert compared.match == (distance <= threshold) == (reported <= threshold)
    assert reported in [steps / STEPS_PER_UNIT for steps in range(41)]
    assert abs(reported - distance) <= DISTANCE_STEP + 1e-9


@given(first=DISTANCES, second=DISTANCES, steps=st.integers(1, 12))
def test_two_distances_in_one_step_get_one_answer(first: float, second: float, steps: int) -> None:
    release = restricted(threshold=steps / STEPS_PER_UNIT)
    one, other = (release.compare(pair(distance)) for distance in (first, second))

    if one.distance == other.distance and one.match == other.match:
        assert one == other
    if min(first, second) > 1.3:
        assert one == other
    if math.ceil(first * STEPS_PER_UNIT) == math.ceil(second * STEPS_PER_UNIT) and first % DISTANCE_STEP:
        assert one.match == other.match


@pytest.mark.parametrize(("distance", "reported"), [(0.0, 0.0), (0.09, 0.0), (0.3, 0.3), (0.99, 0.9), (1.01, 1.1)])
def test_a_match_is_rounded_down_and_anything_else_up(distance: float, reported: float) -> None:
    assert at(1.0).compare(pair(distance)).distance.squared_l2 == reported


@pytest.mark.parametrize("distance", [1.21, 1.3, 2.0, 4.0])
def test_beyond_the_bound_only_the_bound_is_reported(distance: float) -> None:
    release = restricted()
    compared = release.compare(pair(distance))

    assert (compared.match, compared.distance.squared_l2, compared.probability) == (False, 1.3, None)
    assert not release.is_within_bound(compared)


def test_within_the_bound_the_probability_is_that_of_the_middle_of_the_step() -> None:
    match, other = (restricted().compare(pair(distance)) for distance in (0.31, 1.12))

    assert match.probability == POLICY.probability(0.35)
    assert other.probability == POLICY.probability(1.15)


@pytest.mark.parametrize(("asked", "decides"), [(1.0, 1.0), (0.95, 0.9), (1.25, 1.2), (0.3, 0.3), (0.05, 0.0)])
def test_a_threshold_of_the_caller_does_not_cut_a_step(asked: float, decides: float) -> None:
    decision = restricted(threshold=asked).decision

    assert (decision.point.threshold, decision.source) == (decides, "request")


def test_a_rate_of_the_caller_does_not_cut_a_step_unless_it_is_the_default_rate() -> None:
    policy = ThresholdPolicy(calibration(), default_fmr=5e-3, default_fpir=1e-2)
    uneven = ScoreReleasePolicy(policy, max_threshold=1.3)
    default = policy.for_verification()
    asked = uneven.for_verification(fmr=5e-3, threshold=None, templates=1, unrestricted=False)

    assert asked.decision.point == default.point
    assert restricted(fmr=1e-3).decision.point.threshold == 1.0


@pytest.mark.parametrize(
    ("fmr", "threshold", "message"),
    [
        (None, 1.26, r"threshold: expected a threshold of at most 1\.25 against enrolled faces, got 1\.26"),
        (0.5, None, r"fmr: expected a threshold of at most 1\.25"),
    ],
)
def test_a_larger_threshold_needs_an_unrestricted_caller(
    fmr: float | None, threshold: float | None, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        restricted(fmr, threshold)
    release = RELEASE.for_verification(fmr=fmr, threshold=threshold, templates=1, unrestricted=True)

    assert release.bound == math.inf
    assert release.decision == POLICY.for_verification(fmr=fmr, threshold=threshold)


def test_the_default_of_a_small_gallery_may_exceed_the_largest_threshold() -> None:
    release = RELEASE.for_identification(fpir=None, threshold=None, templates=1, unrestricted=False)

    assert (release.decision.source, release.decision.point.threshold, release.bound) == ("default", 1.5, 1.6)
    with pytest.raises(InvalidRequest, match=r"at most 1\.5"):
        RELEASE.for_identification(fpir=None, threshold=1.6, templates=1, unrestricted=False)
    with pytest.raises(UnsupportedOperatingPoint):
        RELEASE.for_identification(fpir=1e-9, threshold=None, templates=1, unrestricted=False)


def test_the_largest_threshold_is_that_of_the_fmr_or_the_usual_one() -> None:
    assert largest_threshold(POLICY) == 1.0
    assert largest_threshold(ThresholdPolicy(calibration(finest_fmr=5e-3), 1e-2, 1e-2)) == 1.0
    assert largest_threshold(UNCALIBRATED) == 1.1


@given(steps=st.integers(0, 40))
def test_a_multiple_of_the_step_is_as_many_whole_steps(steps: int) -> None:
    assert whole_steps(steps / STEPS_PER_UNIT) == steps


@given(distance=DISTANCES)
def test_whole_steps_never_exceed_the_distance(distance: float) -> None:
    assert whole_steps(distance) / STEPS_PER_UNIT <= distance < (whole_steps(distance) + 1.000001) / STEPS_PER_UNIT


def at_base(threshold: float, bound: float = math.inf) -> ScoreRelease:
    return ScoreRelease(POLICY, Decision(OperatingPoint(threshold, 1e-3, 0.25), "default"), bound)


@given(distance=DISTANCES, base=DISTANCES, offset=OFFSETS, bound=st.sampled_from([0.5, 1.3, math.inf]))
def test_what_is_reported_of_a_pair_with_offsets_agrees_with_the_exact_decision(
    distance: float, base: float, offset: float, bound: float
) -> None:
    assume(base < bound)
    release = at_base(base, bound)
    compared = release.compare(pair(distance, offset))
    reported, threshold = compared.distance.squared_l2, compared.point.threshold

    assert compared.match == (distance <= base - offset)
    assert compared.match == (reported <= threshold) or reported == 4.0 <= threshold
    if release.is_within_bound(compared):
        assert base - offset - 0.01 - 1e-9 <= threshold <= base - offset
    else:
        assert compared == release.compare(pair(4.0))


@pytest.mark.parametrize(
    ("offset", "told"), [(0.231, 0.76), (0.24, 0.76), (0.2399, 0.76), (-0.004, 1.0), (-0.011, 1.01)]
)
def test_the_threshold_for_a_pair_is_rounded_down(offset: float, told: float) -> None:
    assert at_base(1.0).compare(pair(0.5, offset)).point == OperatingPoint(told, 1e-3, 0.25)


def test_a_model_without_offsets_tells_its_exact_threshold() -> None:
    assert at_base(1.18243).compare(pair(0.5)).point.threshold == 1.18243


@given(steps=st.integers(1, 20), distance=DISTANCES)
def test_two_offsets_in_one_step_get_one_answer(steps: int, distance: float) -> None:
    one, other = (at_base(1.0).compare(pair(distance, steps / 20 - more)) for more in (0.001, 0.009))
    if one.match == other.match:
        assert one == other


def test_the_probability_and_the_rates_of_a_plain_threshold_are_those_of_the_rounded_offset() -> None:
    plain, based = (release.compare(pair(0.5, 0.2349)) for release in (at(1.0), at_base(1.0)))

    assert plain.probability == based.probability == pytest.approx(POLICY.probability(0.55 + 0.24))
    assert plain.point == OperatingPoint(1.0, POLICY.at_threshold(1.24).fmr, POLICY.at_threshold(1.24).fnmr)


def test_a_plain_threshold_decides_whatever_the_offset_is() -> None:
    compared = at(1.0).compare(pair(0.95, 0.5))
    assert (compared.match, compared.point.threshold) == (True, 1.0)


def test_a_match_beyond_the_bound_is_told_and_anything_else_there_is_not() -> None:
    release = at_base(1.0, bound=1.1)
    match, other, far = (release.compare(pair(distance, -0.35)) for distance in (1.32, 1.36, 3.0))

    assert (match.match, match.distance.squared_l2, release.is_within_bound(match)) == (True, 1.3, True)
    assert (other.match, other.distance.squared_l2, release.is_within_bound(other)) == (False, 1.1, False)
    assert other == far


def test_beyond_the_bound_the_threshold_does_not_tell_the_enrolled_face() -> None:
    for release in (restricted(), restricted(threshold=1.0)):
        crowded, alone = (release.compare(pair(2.0, offset)) for offset in (0.4, -0.1))

        assert crowded == alone
        assert crowded.point == release.decision.point


def test_the_cap_of_thresholds_is_on_the_base_threshold() -> None:
    with pytest.raises(InvalidRequest, match=r"at most 1\.25"):
        restricted(threshold=1.26)
    assert restricted(threshold=1.25).compare(pair(1.19, 0.5)).match
