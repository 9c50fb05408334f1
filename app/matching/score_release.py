"""
Limit what answers reveal about enrolled faces, so that templates cannot be rebuilt from answers.

As many exact distances as a template has numbers determine it by least squares. Therefore callers get distances in
steps, no distance beyond a bound, and no threshold that cuts a step in two, because comparing one photo with many
thresholds would measure its exact distance. BioAPI advises steps against hill climbing (Soutar 2002; Adler 2004);
docs/architecture.md has the reasons, tests/proof/test_template_recovery.py measures what remains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.domain.errors import InvalidRequest
from app.domain.models import Comparison, Distance
from app.matching.threshold_policy import UNCALIBRATED_THRESHOLD, Decision, ThresholdPolicy

STEPS_PER_UNIT = 10
DISTANCE_STEP = 1 / STEPS_PER_UNIT
"""The step of squared L2 distances to enrolled faces; 0.05 in similarity."""
MAX_FMR = 1e-3
"""Largest FMR of a caller's own threshold: NIST SP 800-63B accepts no biometric comparison with more."""


@dataclass(frozen=True, slots=True)
class ScoreRelease:
    """A decision on enrolled faces; every distance from `bound` on is reported as `bound`."""

    policy: ThresholdPolicy
    decision: Decision
    bound: float = math.inf

    def compare(self, distance: Distance) -> Comparison:
        """
        Decide by the exact distance and return the rounded one.

        A match is rounded down and anything else up, so that the reported distance never contradicts the decision. The
        probability is that of the middle of the step, and None beyond the bound.
        """
        match = self.decision.point.decide(distance)
        steps = whole_steps(distance.squared_l2)
        rounded = steps / STEPS_PER_UNIT if match else min((steps + 1) / STEPS_PER_UNIT, 4.0, self.bound)
        middle = rounded + (DISTANCE_STEP if match else -DISTANCE_STEP) / 2
        probability = self.policy.probability(Distance(middle)) if rounded < self.bound else None
        return Comparison(Distance(rounded), self.decision.point, match, probability)

    def refuse(self) -> Comparison:
        """Return what a stranger beyond the bound gets."""
        return Comparison(Distance(min(self.bound, 4.0)), self.decision.point, match=False, probability=None)

    def is_within_bound(self, comparison: Comparison) -> bool:
        return comparison.distance.squared_l2 < self.bound


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


def whole_steps(distance: float) -> int:
    """Return how many whole steps fit into `distance`."""
    steps = math.floor(distance * STEPS_PER_UNIT)
    return steps if steps / STEPS_PER_UNIT <= distance else steps - 1  # the product may have been rounded up


def _too_large(asked: Decision, largest: float) -> InvalidRequest:
    field = "threshold" if asked.source == "request" else asked.source
    detail = (
        f"expected a threshold of at most {largest:.4g} against enrolled faces, got {asked.point.threshold:.4g}; "
        "a larger one needs a key with the scope 'admin'"
    )
    return InvalidRequest(f"{field}: {detail}", [(field, detail)])
