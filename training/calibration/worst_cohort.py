"""Cohorts in a calibration: their false match rates beside the overall one, or FMRs that hold in the worst cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.matching.calibration import Calibration, Cohort, CohortData, Rates, pairs_among
from training.data import photo_groups
from training.errors import TrainingError
from training.evaluation.all_pairs import AllPairs
from training.evaluation.bootstrap import RULE_OF_THREE, interval, rate_curves
from training.evaluation.demographics import CohortFaces, CohortRates, cohort_rates, impostor_scores, measure
from training.evaluation.demographics_report import faces_of
from training.evaluation.metrics import threshold_at
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.served_model import ServedModel

Samples: TypeAlias = NDArray[np.float64]
CohortSets: TypeAlias = Mapping[str, CohortFaces]
"""The faces of several sets of photos by the names of the sets; each has its own cohorts."""

COHORT_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(27))  # 0.5 to 1.8
USUAL_FMRS = (1e-2, 1e-3, 1e-4, 1e-5)
REPLICATES = 200
COARSEST_FMR = 0.1  # a calibration must support at least this FMR
STEPS = 100  # thresholds at which the worst cohort is determined, evenly spaced by FMR


def cohort_faces(sources: Sequence[Path], served: ServedModel, finder: FaceFinder) -> CohortSets:
    """Embed the faces of folders with one folder per cohort, or of CSVs (see training/data/photo_groups.py)."""
    sets = {}
    for source in sources:
        groups = photo_groups.from_folders(source) if source.is_dir() else photo_groups.from_csv(source)
        (sets[source.stem],) = faces_of(groups, finder.find_all(groups.paths, f"detect, {source.stem}"), [served])
    return sets


def with_cohorts(calibration: Calibration, sets: CohortSets) -> Calibration:
    """Return the calibration with the FMRs within each cohort, and between cohorts of one set of photos."""
    thresholds = _cohort_thresholds(calibration)
    rates = {name: measure(faces, thresholds, replicates=REPLICATES) for name, faces in sets.items()}
    prefixes = {name: f"{name}/" if len(sets) > 1 else "" for name in sets}
    between = [each.between[0] for each in rates.values()], [each.between_pairs for each in rates.values()]
    inside = np.concatenate([faces.inside for faces in sets.values()])
    parts = {
        "cohort_thresholds": thresholds,
        "cohorts": tuple(_cohort(prefixes[name], each) for name in sets for each in rates[name].cohorts),
        "between_cohorts": tuple(np.average(between[0], axis=0, weights=between[1]).tolist())
        if any(between[1])
        else (),
        "cohort_data": CohortData(
            name=", ".join(sets), images=len(inside), median_inside=round(float(np.median(inside)), 3)
        ),
    }
    return Calibration.model_validate(dict(calibration) | parts)


def _cohort_thresholds(calibration: Calibration) -> tuple[float, ...]:
    """Return evenly spaced thresholds, and those of the usual FMRs."""
    usual = [calibration.at(fmr).threshold for fmr in USUAL_FMRS if fmr >= calibration.smallest_fmr]
    return tuple(sorted({*COHORT_THRESHOLDS, *usual}))


def for_worst_cohort(calibration: Calibration, pairs: AllPairs, sets: CohortSets) -> Calibration:
    """
    Return the calibration with the largest FMR at each threshold: that over all people, or that of a cohort.

    The largest of several measured rates is rather over- than underestimated, which errs on the safe side.
    """
    fewest = min(pairs_among(cohort.people) for cohort in calibration.cohorts)
    finest = max(calibration.finest_fmr, RULE_OF_THREE / max(1, fewest))
    if finest > COARSEST_FMR:
        raise TrainingError(f"the smallest cohort has {fewest} pairs of people, which support no FMR of {COARSEST_FMR}")
    impostors = [scores for faces in sets.values() for scores in impostor_scores(faces)]
    thresholds = sorted({*(rates.threshold for rates in calibration.rates), *_exact_thresholds(impostors, finest)})
    overall, fnmr = rate_curves(pairs, np.array(thresholds), REPLICATES)  # (1 + R, T)
    within = [each for faces in sets.values() for each in cohort_rates(faces, thresholds, replicates=REPLICATES)]
    rates = worst_rates(thresholds, [overall, *(cohort.fmr for cohort in within)], fnmr)
    parts = {"fmr_scope": "worst_cohort", "rates": rates, "finest_fmr": finest}
    return Calibration.model_validate(dict(calibration) | parts)


def worst_rates(thresholds: Sequence[float], fmrs: Sequence[Samples], fnmr: Samples) -> tuple[Rates, ...]:
    """Return the largest of several FMRs (1 + R, T) at each threshold, with its own interval."""
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


def _exact_thresholds(impostors: Sequence[Samples], finest: float) -> set[float]:
    """Return the loosest thresholds that hold evenly spaced FMRs, down to the finest, in every cohort."""
    fmrs = np.geomspace(finest, 1, STEPS)
    return {max(0.0, min(threshold_at(each, fmr) for each in impostors)) for fmr in fmrs}


def _cohort(prefix: str, rates: CohortRates) -> Cohort:
    return Cohort(
        name=prefix + rates.name,
        people=rates.people,
        impostor_pairs=rates.impostor_pairs,
        median_inside=round(rates.median_inside, 3),
        fmr=tuple(rates.fmr[0].tolist()),
        fmr_interval=tuple(rates.interval(column) for column in range(rates.fmr.shape[1])),
    )
