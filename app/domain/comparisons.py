"""Comparisons of two faces: distances, thresholds with their error rates, and candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Distance:
    """The squared Euclidean distance between two unit vectors, in [0, 4] (FaceNet, section 3)."""

    squared_l2: float

    @property
    def similarity(self) -> float:
        """The cosine, in [-1, 1]."""
        return 1 - self.squared_l2 / 2


def rounded_rate(rate: float) -> float:
    """Return a rate without the last digits, which come from its computation: 1e-4 for 9.999999999999999e-05."""
    return float(f"{rate:.12g}")


@dataclass(frozen=True, slots=True)
class FacePair:
    """Two compared faces: their distance, and the sum of their threshold offsets."""

    distance: Distance
    offset: float = 0.0

    @property
    def score(self) -> float:
        """The normalized score: the distance at which two average faces would be as likely one person's."""
        return self.distance.squared_l2 + self.offset

    def threshold(self, base: float, *, plain: bool) -> float:
        """Return the largest distance at which this pair matches; a plain threshold is the same for all pairs."""
        return base if plain else base - self.offset

    def rank(self, *, plain: bool) -> float:
        """Return what pairs are ordered by: the score, or with a plain threshold the distance."""
        return self.distance.squared_l2 if plain else self.score


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with its error rates for one comparison; a rate is None if the calibration does not give it."""

    threshold: float
    fmr: float | None
    fnmr: float | None

    def decide(self, distance: Distance) -> bool:
        """Return whether the two faces match."""
        return distance.squared_l2 <= self.threshold

    def fpir(self, templates: int) -> float | None:
        """Return the chance that a stranger matches any of `templates`, 1 - (1 - FMR)^N for independent comparisons."""
        if self.fmr is None:
            return None
        return rounded_rate(-math.expm1(templates * math.log1p(-min(self.fmr, 1 - 1e-12))))


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    A compared pair, and the operating point for it.

    `probability` is that of one person at equal prior odds, None without a calibration.
    """

    distance: Distance
    point: OperatingPoint
    match: bool
    probability: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolled subject whose nearest face matches; `rank` counts from 1."""

    subject_id: str
    face_id: str
    comparison: Comparison
    rank: int
    metadata: Mapping[str, Any]
