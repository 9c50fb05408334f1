"""The part of a model card with its thresholds, their error rates, and those of each cohort."""

from __future__ import annotations

import bisect

from app.matching.calibration import Calibration, Cohort

_FMR_SCOPES = {
    "overall": "over all pairs of these people",
    "worst_cohort": "over all pairs of these people and within every cohort below",
}


def calibration_part(calibration: Calibration | None) -> str:
    if calibration is None:
        return "## Calibration\n\nNone yet: the threshold 1.1 is used, and answers say `uncalibrated`.\n"
    data = calibration.data
    points = [calibration.at(fmr) for fmr in (1e-2, 1e-3, 1e-4, 1e-5) if fmr >= calibration.smallest_fmr]
    rows = [f"| {point.fmr:g} | {point.threshold:.4f} | {point.fnmr:.4f} |" for point in points]
    return f"""## Calibration

On {data.name}: {data.impostor_pairs:,} impostor pairs ({data.impostor_people_pairs:,} pairs of people) and
{data.genuine_pairs:,} genuine pairs of {data.people:,} people. Finest FMR supported: {calibration.finest_fmr:.1e}. FMRs
hold {_FMR_SCOPES[calibration.fmr_scope]}.

| FMR | {_threshold_name(calibration)} | FNMR |
|---|---|---|
{chr(10).join(rows)}
{_cohorts(calibration)}"""


def _threshold_name(calibration: Calibration) -> str:
    return "base threshold (squared L2 plus both offsets)" if calibration.threshold_offset else "threshold (squared L2)"


def _cohorts(calibration: Calibration) -> str:
    data = calibration.cohort_data
    if data is None:
        return ""
    point, thresholds = calibration.at(max(1e-4, calibration.smallest_fmr)), calibration.cohort_thresholds
    column = min(bisect.bisect_left(thresholds, point.threshold), len(thresholds) - 1)
    between = f"{calibration.between_cohorts[column]:.2g}" if calibration.between_cohorts else "not measured"
    ranked = sorted(calibration.cohorts, key=lambda cohort: -cohort.fmr[column])
    return f"""
### Within cohorts

False matches between different people of one cohort at threshold {thresholds[column]:.4f} (that of FMR {point.fmr:g}
or the next above), on {data.images} images of {data.name}; between people of different cohorts of the same photos
the FMR is {between}. `inside` is the median share of the aligned crop that lies in the photo.

| cohort | people | impostor pairs | inside | FMR |
|---|---|---|---|---|
{chr(10).join(_cohort_row(cohort, column) for cohort in ranked)}
"""


def _cohort_row(cohort: Cohort, column: int) -> str:
    inside = "-" if cohort.median_inside is None else f"{cohort.median_inside:.2f}"
    interval = "".join(f" [{low:.2g}, {high:.2g}]" for low, high in cohort.fmr_interval[column : column + 1])
    rate = f"{cohort.fmr[column]:.2g}{interval}"
    return f"| {cohort.name} | {cohort.people} | {cohort.impostor_pairs} | {inside} | {rate} |"
