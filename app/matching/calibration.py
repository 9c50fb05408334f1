"""
`calibration.json`: what a threshold of this model is worth, measured on data that is named.

Born in training/calibrate.py, told in docs/CALIBRATION.md. Between two measured thresholds the worse rate of the two is
given, so that a stated rate is never better than the one measured.
"""

from __future__ import annotations

import bisect
import math
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain.errors import StartError, UnsupportedOperatingPoint
from app.domain.nouns import Distance, OperatingPoint

CALIBRATION = "calibration.json"

Interval = tuple[float, float]
"""A 95 % confidence interval by bootstrap over people."""
FmrScope: TypeAlias = Literal["overall", "worst_cohort"]
"""Which people an FMR holds for: all on average, or also those of the worst cohort."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(_Part):
    """Both error rates of one comparison at one threshold, as measured."""

    threshold: float = Field(ge=0, le=4)
    fmr: float = Field(ge=0, le=1)
    fmr_interval: Interval
    fnmr: float = Field(ge=0, le=1)
    fnmr_interval: Interval


class CalibrationData(_Part):
    """Which faces the promise rests on."""

    name: str
    people: int
    images: int
    impostor_pairs: int
    impostor_people_pairs: int = Field(description="Pairs of people behind the impostor pairs: those are independent.")
    genuine_pairs: int
    faces_not_found: int = 0


class ProbabilityMap(_Part):
    """P(one person | distance) at equal prior odds = 1 / (1 + exp(slope * distance + intercept))."""

    slope: float = Field(gt=0)
    intercept: float


class Cohort(_Part):
    """False matches among strangers of one cohort; `fmr[i]` belongs to `Calibration.cohort_thresholds[i]`."""

    name: str
    people: int
    impostor_pairs: int
    median_inside: float | None = Field(None, ge=0, le=1)
    fmr: tuple[float, ...]
    fmr_interval: tuple[Interval, ...] = ()


class CohortData(_Part):
    """Which faces the cohorts were measured on. Cut photos match more: `median_inside` says how cut these are."""

    name: str
    images: int
    median_inside: float = Field(ge=0, le=1, description="Of the share of the aligned crop that lies in the photo.")


class CohortRate(_Part):
    """The cohort with most false matches at some threshold, and the data that say so."""

    name: str
    fmr: float
    between_fmr: float | None = Field(
        None, description="Of strangers of different cohorts in the same data: what their photos alone come to."
    )
    data: CohortData


class Calibration(_Part):
    """Immutable; the rates are for a single comparison (1:1)."""

    model: str = Field(description="Digest of the embedder that was measured.")
    data: CalibrationData
    fmr_scope: FmrScope = Field(
        "overall", description="`overall`: over all people of `data`; `worst_cohort`: also in every cohort."
    )
    finest_fmr: float = Field(gt=0, le=1, description="About 3 / independent impostor pairs (the rule of three).")
    rates: tuple[Rates, ...] = Field(min_length=2, description="By rising threshold.")
    probability: ProbabilityMap
    cohort_thresholds: tuple[float, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    between_cohorts: tuple[float, ...] = Field((), description="FMR of strangers of different cohorts, likewise.")
    cohort_data: CohortData | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Calibration:
        if any(a.threshold >= b.threshold or a.fmr > b.fmr or a.fnmr < b.fnmr for a, b in pairwise(self.rates)):
            raise ValueError("want rates by rising threshold, with FMR rising and FNMR falling")
        return self

    @model_validator(mode="after")
    def _cohorts_whole(self) -> Calibration:
        if self.cohort_data and not self.cohorts:
            raise ValueError("want the cohorts of cohort_data")
        if any(a >= b for a, b in pairwise(self.cohort_thresholds)):
            raise ValueError("want cohort_thresholds to rise")
        rates = [self.between_cohorts or self.cohort_thresholds, *(cohort.fmr for cohort in self.cohorts)]
        if any(len(each) != len(self.cohort_thresholds) for each in rates):
            raise ValueError("want an FMR for every one of cohort_thresholds")
        if self.fmr_scope == "worst_cohort" and not self.cohorts:
            raise ValueError("expected cohorts with fmr_scope worst_cohort")
        return self

    @property
    def finest(self) -> float:
        """The finest FMR that can be promised: the pairs support it, and some threshold was measured to hold it."""
        return max(self.finest_fmr, self.rates[0].fmr)

    @property
    def people_pairs(self) -> int:
        """How many pairs of people are behind the promise; of the smallest cohort, where it is for the worst."""
        cohorts = self.cohorts if self.fmr_scope == "worst_cohort" else ()
        return min([self.data.impostor_people_pairs, *(pairs_among(cohort.people) for cohort in cohorts)])

    def at(self, fmr: float) -> OperatingPoint:
        """The loosest threshold whose FMR is at most `fmr`; UnsupportedOperatingPoint where that is too fine."""
        if fmr < self.finest:
            raise UnsupportedOperatingPoint(
                f"want an FMR of at least {self.finest:.2g}, the finest that {self.people_pairs} "
                f"pairs of people support, got {fmr:.2g}"
            )
        index = bisect.bisect_right(self.rates, fmr, key=lambda rates: rates.fmr) - 1
        return OperatingPoint(self.rates[index].threshold, fmr, self.rates[index].fnmr)

    def at_threshold(self, threshold: float) -> OperatingPoint:
        """The rates of a threshold that the caller chose; its FMR is None where it is finer than the data can tell."""
        above = bisect.bisect_left(self.rates, threshold, key=lambda rates: rates.threshold)
        below = bisect.bisect_right(self.rates, threshold, key=lambda rates: rates.threshold) - 1
        fmr = self.rates[above].fmr if above < len(self.rates) else 1.0
        fnmr = self.rates[below].fnmr if below >= 0 else 1.0
        return OperatingPoint(threshold, fmr if fmr >= self.finest_fmr else None, fnmr)

    def probability_at(self, distance: Distance) -> float:
        against = self.probability.slope * distance.squared_l2 + self.probability.intercept
        return 1 / (1 + math.exp(min(against, 700.0)))  # beyond, exp overflows

    def worst_cohort(self, threshold: float) -> CohortRate | None:
        """The cohort with most false matches at `threshold`; None where none was measured, or none matched."""
        if self.cohort_data is None or not self.cohorts:
            return None
        above = bisect.bisect_left(self.cohort_thresholds, threshold)
        if above == len(self.cohort_thresholds):
            return None
        fmr, name = max((cohort.fmr[above], cohort.name) for cohort in self.cohorts)
        between = self.between_cohorts[above] if self.between_cohorts else None
        return CohortRate(name=name, fmr=fmr, between_fmr=between, data=self.cohort_data) if fmr > 0 else None


def pairs_among(people: int) -> int:
    return people * (people - 1) // 2


def read_calibration(folder: Path, model: str) -> Calibration | None:
    """The calibration beside a model, None where there is none; StartError where it is broken or another model's."""
    path = folder / CALIBRATION
    if not path.exists():
        return None
    try:
        calibration = Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StartError(f"{path} is not a calibration: {error}") from error
    if calibration.model != model:
        raise StartError(f"{path} was measured on {calibration.model}, the model here is {model}: calibrate again")
    return calibration
