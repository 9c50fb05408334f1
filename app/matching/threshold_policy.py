"""
Which threshold decides, and what it promises.

Peers ship a constant (DeepFace a table of them, CompreFace a similarity that "usually" works) and the first question of
their users is where it comes from. Here the caller names an error rate or a threshold, or takes the default rate, and
every answer says which it was and what it is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.domain.errors import UnsupportedOperatingPoint
from app.domain.nouns import Comparison, Distance, OperatingPoint
from app.matching.calibration import Calibration, CohortRate

UNCALIBRATED_THRESHOLD = 1.1
"""FaceNet's usual threshold on squared L2 (Schroff et al. 2015, figure 1), where nothing better was measured."""

Source: TypeAlias = Literal["default", "fmr", "fpir", "request", "uncalibrated"]


@dataclass(frozen=True, slots=True)
class Decision:
    """An operating point for a search of `templates` faces, and where it comes from. `point` is for each comparison."""

    point: OperatingPoint
    source: Source
    templates: int = 1

    @property
    def overall_fmr(self) -> float | None:
        """Chance that a stranger matches any of the templates."""
        return self.point.fpir(self.templates)


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Thresholds of one model; `calibration` is None where none was measured."""

    calibration: Calibration | None
    default_fmr: float
    default_fpir: float

    def for_verification(
        self, *, fmr: float | None = None, threshold: float | None = None, templates: int = 1
    ) -> Decision:
        """
        The point for a claim of identity against the nearest of `templates` faces of one subject.

        Raises UnsupportedOperatingPoint for an `fmr` that the calibration cannot support.
        """
        return self._decide(fmr, threshold, self.default_fmr, "fmr", templates)

    def for_identification(
        self, *, fpir: float | None = None, threshold: float | None = None, templates: int
    ) -> Decision:
        """As above, for a gallery of `templates` faces: the larger it is, the tighter the threshold."""
        return self._decide(fpir, threshold, self.default_fpir, "fpir", templates)

    def compare(self, distance: Distance, decision: Decision) -> Comparison:
        return Comparison(distance, decision.point, decision.point.decide(distance), self.probability(distance))

    def probability(self, distance: Distance) -> float | None:
        return self.calibration.probability_at(distance) if self.calibration else None

    def worst_cohort(self, decision: Decision) -> CohortRate | None:
        return self.calibration.worst_cohort(decision.point.threshold) if self.calibration else None

    def _decide(
        self, rate: float | None, threshold: float | None, default: float, named: Source, templates: int
    ) -> Decision:
        templates = max(templates, 1)
        if threshold is not None:
            return Decision(self._at_threshold(threshold), "request", templates)
        if self.calibration is None:
            if rate is not None:
                raise UnsupportedOperatingPoint("this model has no calibration; ask for a threshold instead of a rate")
            return Decision(OperatingPoint(UNCALIBRATED_THRESHOLD, None, None), "uncalibrated", templates)
        if rate is None:
            finest = self.calibration.finest  # a default never fails: it says what it can promise instead
            return Decision(self.calibration.at(max(finest, per_comparison(default, templates))), "default", templates)
        return Decision(self.calibration.at(per_comparison(rate, templates)), named, templates)

    def _at_threshold(self, threshold: float) -> OperatingPoint:
        if self.calibration is None:
            return OperatingPoint(threshold, None, None)
        return self.calibration.at_threshold(threshold)


def per_comparison(rate: float, templates: int) -> float:
    """The FMR of one comparison that keeps the chance of any false match among `templates` at `rate`."""
    return rate if templates == 1 or rate == 1 else -math.expm1(math.log1p(-rate) / templates)
