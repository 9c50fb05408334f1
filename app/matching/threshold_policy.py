"""
Choose the threshold of a decision, with its error rates.

Other projects ship a constant (DeepFace a table of them, CompreFace a similarity that "usually" works), and their users
first ask where it comes from. Here the caller gives an error rate or a threshold, or takes the default rate, and every
answer says which it was, and its error rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from app.domain.errors import UnsupportedOperatingPoint
from app.domain.models import Comparison, FacePair, OperatingPoint
from app.matching.calibration import Calibration

UNCALIBRATED_THRESHOLD = 1.1
"""FaceNet's usual threshold on squared L2 (Schroff et al. 2015, figure 1), for models without a calibration."""

Source: TypeAlias = Literal["default", "fmr", "fpir", "request", "uncalibrated"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The operating point of each comparison with one of `templates` average faces, and where it comes from."""

    point: OperatingPoint
    source: Source
    templates: int = 1

    @property
    def overall_fmr(self) -> float | None:
        """Return the chance that a stranger matches any of the templates."""
        return self.point.fpir(self.templates)

    @property
    def is_plain(self) -> bool:
        """Return whether the threshold is a distance of the caller's, the same for all pairs."""
        return self.source == "request"

    def threshold_for(self, pair: FacePair) -> float:
        return pair.threshold(self.point.threshold, plain=self.is_plain)


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """The thresholds of one model; `calibration` is None if none was measured."""

    calibration: Calibration | None
    default_fmr: float
    default_fpir: float

    def for_verification(
        self, *, fmr: float | None = None, threshold: float | None = None, templates: int = 1
    ) -> Decision:
        """
        Decide on a claim of identity, against the nearest of `templates` faces of one subject.

        Raises UnsupportedOperatingPoint if the calibration does not support `fmr`.
        """
        return self._decide(fmr, threshold, self.default_fmr, "fmr", templates)

    def for_identification(
        self, *, fpir: float | None = None, threshold: float | None = None, templates: int
    ) -> Decision:
        """Decide on a search of `templates` faces; the more there are, the smaller is the threshold."""
        return self._decide(fpir, threshold, self.default_fpir, "fpir", templates)

    def compare(self, pair: FacePair, decision: Decision) -> Comparison:
        point = self.point_for(pair, decision)
        return Comparison(pair.distance, point, point.decide(pair.distance), self.probability(pair.score))

    def point_for(self, pair: FacePair, decision: Decision) -> OperatingPoint:
        """
        Return the operating point for a pair, with the threshold for it.

        The rates of a decision hold for every pair, since its threshold follows the pair's offset. A plain threshold
        does not, so its rates depend on the pair: they are those of the base threshold that would come to the same.
        """
        threshold = decision.threshold_for(pair)
        point = self.at_threshold(threshold + pair.offset) if decision.is_plain else decision.point
        return replace(point, threshold=threshold)

    def probability(self, score: float) -> float | None:
        """Return the probability that a pair of this normalized score is one person's; None without a calibration."""
        return self.calibration.probability_at(score) if self.calibration else None

    def at_threshold(self, threshold: float) -> OperatingPoint:
        if self.calibration is None:
            return OperatingPoint(threshold, None, None)
        return self.calibration.at_threshold(threshold)

    def _decide(
        self, rate: float | None, threshold: float | None, default: float, source: Source, templates: int
    ) -> Decision:
        templates = max(templates, 1)
        if threshold is not None:
            return Decision(self.at_threshold(threshold), "request", templates)
        if self.calibration is None:
            if rate is not None:
                raise UnsupportedOperatingPoint("this model has no calibration; ask for a threshold instead of a rate")
            return Decision(OperatingPoint(UNCALIBRATED_THRESHOLD, None, None), "uncalibrated", templates)
        if rate is None:
            fmr = max(self.calibration.smallest_fmr, fmr_per_comparison(default, templates))  # a default never fails
            return Decision(self.calibration.at(fmr), "default", templates)
        return Decision(self.calibration.at(fmr_per_comparison(rate, templates)), source, templates)


def fmr_per_comparison(rate: float, templates: int) -> float:
    """Return the FMR of one comparison at which the chance of any false match among `templates` is `rate`."""
    return rate if templates == 1 or rate == 1 else -math.expm1(math.log1p(-rate) / templates)
