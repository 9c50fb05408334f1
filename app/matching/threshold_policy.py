"""
Choose the threshold of a decision, with its error rates.

Other projects ship a constant (DeepFace a table of them, CompreFace a similarity that "usually" works), and their users
first ask where it comes from. Here the caller gives an error rate or a threshold, or takes the default rate, and every
answer says which it was, and its error rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Literal, TypeAlias

from app.domain.comparisons import Comparison, FacePair, OperatingPoint
from app.domain.errors import UnsupportedOperatingPoint
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
    rate: float | None = None
    """The rate for all templates that the threshold was chosen for, as it was asked for."""

    @property
    def overall_fmr(self) -> float | None:
        """Return the chance that a stranger matches any of the templates."""
        return self.point.fpir(self.templates) if self.rate is None else self.rate

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
            share = fmr_per_comparison(default, templates)
            fmr = max(self.calibration.smallest_fmr, share)  # a default never fails
            return Decision(self.calibration.at(fmr), "default", templates, default if fmr == share else None)
        share = fmr_per_comparison(rate, templates)
        if share < self.calibration.smallest_fmr:
            raise _too_fine(source, rate, templates, self.calibration)
        return Decision(self.calibration.at(share), source, templates, rate)


def _too_fine(source: Source, rate: float, templates: int, calibration: Calibration) -> UnsupportedOperatingPoint:
    smallest = OperatingPoint(0.0, calibration.smallest_fmr, None).fpir(templates) or 0.0
    faces = "one face" if templates == 1 else f"{templates} faces"
    return UnsupportedOperatingPoint(
        f"expected {source} of at least {_rounded_up(smallest)} against {faces}, the smallest that "
        f"{calibration.people_pairs} pairs of people support, got {rate}"
    )


def _rounded_up(rate: float) -> str:
    """Write two digits, so that the written number is allowed too."""
    digits = Decimal(rate)
    return f"{float(digits.quantize(Decimal(1).scaleb(digits.adjusted() - 1), ROUND_CEILING)):g}"


def fmr_per_comparison(rate: float, templates: int) -> float:
    """Return the FMR of one comparison at which the chance of any false match among `templates` is `rate`."""
    return rate if templates == 1 or rate == 1 else -math.expm1(math.log1p(-rate) / templates)
