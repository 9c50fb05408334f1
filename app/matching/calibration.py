"""
Read `calibration.json`: the error rates of a model at each threshold, measured on named data.

training/calibration/fit.py writes it, docs/calibration.md explains it. Between two measured thresholds the worse rate
of both is given, so that a stated rate is never better than the measured one.
"""

from __future__ import annotations

import bisect
import math
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain.comparisons import OperatingPoint
from app.domain.errors import StartError, UnsupportedOperatingPoint

CALIBRATION = "calibration.json"

Interval = tuple[float, float]
"""A 95 % confidence interval, bootstrapped over people."""
FmrScope: TypeAlias = Literal["overall", "worst_cohort"]
"""The people that an FMR holds for: all on average, or also those of the worst cohort."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(_Section):
    """Both error rates of one comparison at one threshold, as measured."""

    threshold: float = Field(ge=0, le=4)
    fmr: float = Field(ge=0, le=1)
    fmr_interval: Interval
    fnmr: float = Field(ge=0, le=1)
    fnmr_interval: Interval


class CalibrationData(_Section):
    """The faces that the rates were measured on."""

    name: str
    people: int
    images: int
    impostor_pairs: int
    impostor_people_pairs: int = Field(description="Pairs of people behind the impostor pairs: those are independent.")
    genuine_pairs: int
    faces_not_found: int = 0


class ProbabilityMap(_Section):
    """P(one person | score) at equal prior odds = 1 / (1 + exp(slope * score + intercept))."""

    slope: float = Field(gt=0)
    intercept: float


class Cohort(_Section):
    """False matches among strangers of one cohort; `fmr[i]` belongs to `Calibration.cohort_thresholds[i]`."""

    name: str
    people: int
    impostor_pairs: int
    median_inside: float | None = Field(None, ge=0, le=1)
    fmr: tuple[float, ...]
    fmr_interval: tuple[Interval, ...] = ()


class CohortData(_Section):
    """The faces of the cohorts. Cut faces match more often, and `median_inside` says how much these are cut."""

    name: str
    images: int
    median_inside: float = Field(ge=0, le=1, description="Median share of the aligned crop that lies in the photo.")


class Calibration(_Section):
    """
    Immutable; the rates are for a single comparison (1:1).

    Thresholds are of the normalized score, which is the distance plus the threshold offsets of both faces. It equals
    the distance if the model has no offsets.
    """

    model: str = Field(description="Digest of the embedder that was measured.")
    threshold_offset: str | None = Field(
        None, description="Digest of the threshold offsets that were added to the distances; null if none were."
    )
    data: CalibrationData
    fmr_scope: FmrScope = Field(
        "overall", description="`overall`: over all people of `data`; `worst_cohort`: also in every cohort."
    )
    finest_fmr: float = Field(gt=0, le=1, description="About 3 / independent impostor pairs (the rule of three).")
    rates: tuple[Rates, ...] = Field(min_length=2, description="By rising threshold.")
    probability: ProbabilityMap
    cohort_thresholds: tuple[float, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    between_cohorts: tuple[float, ...] = Field((), description="FMR of strangers of different cohorts at each of them.")
    cohort_data: CohortData | None = None

    @model_validator(mode="after")
    def _check_order_of_rates(self) -> Calibration:
        if any(a.threshold >= b.threshold or a.fmr > b.fmr or a.fnmr < b.fnmr for a, b in pairwise(self.rates)):
            raise ValueError("expected rates by rising threshold, with FMR rising and FNMR falling")
        return self

    @model_validator(mode="after")
    def _check_cohorts_are_complete(self) -> Calibration:
        if self.cohort_data and not self.cohorts:
            raise ValueError("expected cohorts, got only cohort_data")
        if any(a >= b for a, b in pairwise(self.cohort_thresholds)):
            raise ValueError("expected cohort_thresholds to rise")
        rates = [self.between_cohorts or self.cohort_thresholds, *(cohort.fmr for cohort in self.cohorts)]
        if any(len(each) != len(self.cohort_thresholds) for each in rates):
            raise ValueError("expected an FMR for each of cohort_thresholds")
        if self.fmr_scope == "worst_cohort" and not self.cohorts:
            raise ValueError("expected cohorts with fmr_scope worst_cohort")
        return self

    @property
    def smallest_fmr(self) -> float:
        """Return the smallest FMR that the pairs support and that was measured at some threshold."""
        return max(self.finest_fmr, self.rates[0].fmr)

    @property
    def people_pairs(self) -> int:
        """How many pairs of people are behind the promise; of the smallest cohort, where it is for the worst."""
        cohorts = self.cohorts if self.fmr_scope == "worst_cohort" else ()
        return min([self.data.impostor_people_pairs, *(pairs_among(cohort.people) for cohort in cohorts)])

    def at(self, fmr: float) -> OperatingPoint:
        """
        Return the largest threshold whose FMR is at most `fmr`.

        Raises UnsupportedOperatingPoint if `fmr` is smaller than `smallest_fmr`.
        """
        if fmr < self.smallest_fmr:
            raise UnsupportedOperatingPoint(
                f"expected an FMR of at least {self.smallest_fmr:.2g}, the smallest that {self.people_pairs} "
                f"pairs of people support, got {fmr:.2g}"
            )
        index = bisect.bisect_right(self.rates, fmr, key=lambda rates: rates.fmr) - 1
        return OperatingPoint(self.rates[index].threshold, fmr, self.rates[index].fnmr)

    def at_threshold(self, threshold: float) -> OperatingPoint:
        """Return the rates of the caller's threshold; the FMR is None if it is smaller than the data support."""
        above = bisect.bisect_left(self.rates, threshold, key=lambda rates: rates.threshold)
        below = bisect.bisect_right(self.rates, threshold, key=lambda rates: rates.threshold) - 1
        fmr = self.rates[above].fmr if above < len(self.rates) else 1.0
        fnmr = self.rates[below].fnmr if below >= 0 else 1.0
        return OperatingPoint(threshold, fmr if fmr >= self.finest_fmr else None, fnmr)

    def probability_at(self, score: float) -> float:
        """Return the probability that two faces of this normalized score are one person's, at equal prior odds."""
        log_odds_against = self.probability.slope * score + self.probability.intercept
        return 1 / (1 + math.exp(min(log_odds_against, 700.0)))  # beyond, exp overflows


def pairs_among(people: int) -> int:
    return people * (people - 1) // 2


def read_calibration(folder: Path, model: str, threshold_offset: str | None = None) -> Calibration | None:
    """
    Return the calibration of a model folder, if it has one.

    Raises StartError if it is broken, or was measured on another model or with other threshold offsets than those of
    the digest `threshold_offset`.
    """
    path = folder / CALIBRATION
    if not path.exists():
        return None
    try:
        calibration = Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StartError(f"{path} is not a calibration: {error}") from error
    if calibration.model != model:
        raise StartError(f"{path} was measured on {calibration.model}, the model here is {model}: calibrate again")
    if calibration.threshold_offset != threshold_offset:
        raise StartError(
            f"{path} was measured {_with_offsets(calibration.threshold_offset)}, the model here is used "
            f"{_with_offsets(threshold_offset)}: calibrate again"
        )
    return calibration


def _with_offsets(digest: str | None) -> str:
    return f"with the threshold offsets {digest}" if digest else "without threshold offsets"
