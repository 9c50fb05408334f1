"""What a calibration says of cohorts: their false matches beside its own, or its promise for the worst of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.matching.calibration import Calibration, Cohort, CohortData, Rates, pairs_among
from training.data import photo_groups
from training.errors import TrainingError
from training.evaluation.all_pairs import AllPairs
from training.evaluation.bootstrap import RULE_OF_THREE, interval, rate_curves
from training.evaluation.demographics import Strangers, Within, impostors_within, measure, within_each
from training.evaluation.demographics_report import faces_of
from training.evaluation.metrics import threshold_at
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.served_model import ServedModel

Samples: TypeAlias = NDArray[np.float64]

COHORT_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(27))  # 0.5 to 1.8
REPLICATES = 200
COARSEST = 0.1  # an FMR beyond which a calibration says nothing
STEPS = 100  # thresholds at which the worst cohort is looked for, evenly spaced by its FMR


def cohort_faces(source: Path, served: ServedModel, finder: FaceFinder) -> Strangers:
    """Of a folder a cohort, or of a CSV (see training/groups.py)."""
    grouped = photo_groups.from_folders(source) if source.is_dir() else photo_groups.from_csv(source)
    (faces,) = faces_of(grouped, finder.find_all(grouped.paths, "detect, cohorts"), [served])
    return faces


def with_cohorts(calibration: Calibration, name: str, faces: Strangers) -> Calibration:
    """The same promise, and what it comes to within each cohort and between cohorts."""
    measured = measure(faces, COHORT_THRESHOLDS, replicates=REPLICATES)
    inside = round(float(np.median(faces.inside)), 3)
    parts = {
        "cohort_thresholds": COHORT_THRESHOLDS,
        "cohorts": tuple(_cohort(each) for each in measured.cohorts),
        "between_cohorts": tuple(measured.between[0].tolist()),
        "cohort_data": CohortData(name=name, images=len(faces.vectors), median_inside=inside),
    }
    return Calibration.model_validate(dict(calibration) | parts)


def for_the_worst(calibration: Calibration, pairs: AllPairs, faces: Strangers) -> Calibration:
    """
    The same with FMRs of whichever is worst at a threshold: the average, or one of the cohorts.

    The worst of several measured rates is more probably over- than underestimated: the promise errs to the safe side.
    """
    fewest = min(pairs_among(cohort.people) for cohort in calibration.cohorts)
    finest = max(calibration.finest_fmr, RULE_OF_THREE / max(1, fewest))
    if finest > COARSEST:
        raise TrainingError(f"the smallest cohort has {fewest} pairs of people, which support no FMR of {COARSEST}")
    thresholds = sorted({*(rates.threshold for rates in calibration.rates), *_exact(impostors_within(faces), finest)})
    average, fnmr = rate_curves(pairs, np.array(thresholds), REPLICATES)  # (1 + R, T)
    within = within_each(faces, thresholds, replicates=REPLICATES)
    rates = worst_rates(thresholds, [average, *(cohort.fmr for cohort in within)], fnmr)
    parts = {"fmr_scope": "worst_cohort", "rates": rates, "finest_fmr": finest}
    return Calibration.model_validate(dict(calibration) | parts)


def worst_rates(thresholds: Sequence[float], fmrs: Sequence[Samples], fnmr: Samples) -> tuple[Rates, ...]:
    """Of several FMRs (1 + R, T) the largest at each threshold, with its own interval."""
    curves = np.stack(fmrs)  # (C, 1 + R, T)
    worst = curves[:, 0].argmax(axis=0)  # (T,)
    return tuple(
        Rates(
            threshold=threshold,
            fmr=float(curves[worst[column], 0, column]),
            fmr_interval=interval(curves[worst[column], 1:, column]),
            fnmr=max(0.0, float(fnmr[0, column])),
            fnmr_interval=interval(fnmr[1:, column]),
        )
        for column, threshold in enumerate(thresholds)
    )


def _exact(impostors: Sequence[Samples], finest: float) -> set[float]:
    """The loosest thresholds that hold evenly spaced FMRs, down to the finest, in every cohort."""
    fmrs = np.geomspace(finest, 1, STEPS)
    return {max(0.0, min(threshold_at(each, fmr) for each in impostors)) for fmr in fmrs}


def _cohort(measured: Within) -> Cohort:
    return Cohort(
        name=measured.name,
        people=measured.people,
        impostor_pairs=measured.impostor_pairs,
        median_inside=round(measured.median_inside, 3),
        fmr=tuple(measured.fmr[0].tolist()),
        fmr_interval=tuple(measured.interval(column) for column in range(len(COHORT_THRESHOLDS))),
    )
