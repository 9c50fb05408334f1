"""
Limit what answers reveal about enrolled faces, so that templates cannot be rebuilt from answers.

As many exact distances as a template has numbers determine it by least squares. Therefore callers get distances in
steps, no distance beyond a bound, and no threshold that cuts a step in two, because comparing one photo with many
thresholds would measure its exact distance. BioAPI advises steps against hill climbing (Soutar 2002; Adler 2004);
docs/architecture.md has the reasons, tests/proof/test_template_recovery.py measures what remains.

Where the model has threshold offsets, the threshold for a pair depends on the enrolled face too. It is told in finer
steps, since it says only how common faces like the enrolled one are, not where it lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from app.domain.comparisons import Comparison, Distance, FacePair, OperatingPoint
from app.domain.errors import InvalidRequest
from app.matching.threshold_policy import UNCALIBRATED_THRESHOLD, Decision, ThresholdPolicy

STEPS_PER_UNIT = 10
DISTANCE_STEP = 1 / STEPS_PER_UNIT
"""The step of squared L2 distances to enrolled faces; 0.05 in similarity."""
THRESHOLD_STEPS_PER_UNIT = 100
"""Steps of the threshold for a pair; a distance step is a whole number of them."""
MAX_FMR = 1e-3
"""Largest FMR of a caller's own threshold: NIST SP 800-63B accepts no biometric comparison with more."""


@dataclass(frozen=True, slots=True)
class ScoreRelease:
    """A decision on enrolled faces; every distance from `bound` on is reported as `bound`, unless the faces match."""

    policy: ThresholdPolicy
    decision: Decision
    bound: float = math.inf

    def compare(self, pair: FacePair) -> Comparison:
        """
        Decide by the exact distance and threshold, and return the rounded ones.

        The distance of a match is rounded down and any other up, the threshold is rounded down, so that what is
        reported never contradicts the decision. The probability is that of the middle of the step. Beyond the bound the
        answer is the same for all faces: the threshold for a pair would tell which enrolled face is the nearest.
        """
        match = pair.distance.squared_l2 <= self.decision.threshold_for(pair)
        steps = whole_steps(pair.distance.squared_l2)
        rounded = steps / STEPS_PER_UNIT if match else min((steps + 1) / STEPS_PER_UNIT, 4.0)
        if not match and rounded >= self.bound:
            return self.refuse()
        middle = rounded + (DISTANCE_STEP if match else -DISTANCE_STEP) / 2
        released = FacePair(Distance(middle), self._base - self._rounded_threshold(pair))
        probability = self.policy.probability(released.score)
        return Comparison(Distance(rounded), self._released_point(pair, released), match, probability)

    def refuse(self) -> Comparison:
        """Return what a stranger beyond the bound gets."""
        return Comparison(Distance(min(self.bound, 4.0)), self.decision.point, match=False, probability=None)

    def is_within_bound(self, comparison: Comparison) -> bool:
        return comparison.match or comparison.distance.squared_l2 < self.bound

    @property
    def _base(self) -> float:
        return self.decision.point.threshold

    def _rounded_threshold(self, pair: FacePair) -> float:
        """Return the base threshold less the pair's offset, rounded down; a model without offsets tells it exactly."""
        if not pair.offset:
            return self._base
        return whole_steps(self._base - pair.offset, THRESHOLD_STEPS_PER_UNIT) / THRESHOLD_STEPS_PER_UNIT

    def _released_point(self, pair: FacePair, released: FacePair) -> OperatingPoint:
        point = self.policy.point_for(released, self.decision)
        return point if self.decision.is_plain else replace(point, threshold=self._rounded_threshold(pair))


@dataclass(frozen=True, slots=True)
class ScoreReleasePolicy:
    """Chooses thresholds against enrolled faces; `unrestricted` callers may ask for any and get all distances."""

    policy: ThresholdPolicy
    max_threshold: float

    def for_verification(
        self, *, fmr: float | None, threshold: float | None, templates: int, unrestricted: bool
    ) -> ScoreRelease:
        """Raises UnsupportedOperatingPoint, or InvalidRequest if the threshold is too large for the caller."""
        asked = self.policy.for_verification(fmr=fmr, threshold=threshold, templates=templates)
        default = self.policy.for_verification(templates=templates)
        return self._release(asked, default, unrestricted=unrestricted)

    def for_identification(
        self, *, fpir: float | None, threshold: float | None, templates: int, unrestricted: bool
    ) -> ScoreRelease:
        """Raises UnsupportedOperatingPoint, or InvalidRequest if the threshold is too large for the caller."""
        asked = self.policy.for_identification(fpir=fpir, threshold=threshold, templates=templates)
        default = self.policy.for_identification(templates=templates)
        return self._release(asked, default, unrestricted=unrestricted)

    def _release(self, asked: Decision, default: Decision, *, unrestricted: bool) -> ScoreRelease:
        if unrestricted:
            return ScoreRelease(self.policy, asked)
        largest = max(self.max_threshold, default.point.threshold)
        if asked.point.threshold > largest:
            raise _too_large(asked, largest)
        decision = asked if asked.point == default.point else self._on_a_step(asked)
        return ScoreRelease(self.policy, decision, bound=(whole_steps(largest) + 1) / STEPS_PER_UNIT)

    def _on_a_step(self, asked: Decision) -> Decision:
        threshold = whole_steps(asked.point.threshold) / STEPS_PER_UNIT
        return Decision(self.policy.at_threshold(threshold), asked.source, asked.templates)


def largest_threshold(policy: ThresholdPolicy) -> float:
    """Return the largest threshold that a caller may ask for unless the settings say otherwise."""
    if policy.calibration is None:
        return UNCALIBRATED_THRESHOLD
    return policy.calibration.at(max(MAX_FMR, policy.calibration.smallest_fmr)).threshold


def whole_steps(distance: float, steps_per_unit: int = STEPS_PER_UNIT) -> int:
    """Return how many whole steps fit into `distance`."""
    steps = math.floor(distance * steps_per_unit)
    return steps if steps / steps_per_unit <= distance else steps - 1  # the product may have been rounded up


def _too_large(asked: Decision, largest: float) -> InvalidRequest:
    field = "threshold" if asked.source == "request" else asked.source
    detail = (
        f"expected a threshold of at most {largest:.4g} against enrolled faces, got {asked.point.threshold:.4g}; "
        "a larger one needs a key with the scope 'admin'"
    )
    return InvalidRequest(f"{field}: {detail}", [(field, detail)])
