"""A calibration small enough to read."""

from typing import Any

from app.matching.calibration import Calibration, CalibrationData, Cohort, CohortData, ProbabilityMap, Rates

MODEL = "sha256:" + "0" * 64
DATA = CalibrationData(
    name="ten people", people=10, images=20, impostor_pairs=900, impostor_people_pairs=45, genuine_pairs=10
)


def rates(threshold: float, fmr: float, fnmr: float) -> Rates:
    return Rates(threshold=threshold, fmr=fmr, fmr_interval=(0, 1), fnmr=fnmr, fnmr_interval=(0, 1))


RATES = (rates(0.5, 0.0, 0.5), rates(1.0, 1e-3, 0.25), rates(1.5, 1e-2, 0.125), rates(4.0, 1.0, 0.0))


def calibration(**parts: Any) -> Calibration:
    """Return a calibration with `RATES`, down to an FMR of 1e-4 and even odds at distance 2, changed by `parts`."""
    usual: dict[str, Any] = {
        "model": MODEL,
        "data": DATA,
        "finest_fmr": 1e-4,
        "rates": RATES,
        "probability": ProbabilityMap(slope=5.0, intercept=-10.0),
    }
    return Calibration(**(usual | parts))


COHORTS: dict[str, Any] = {
    "cohort_thresholds": (0.5, 1.0, 1.5),
    "cohorts": (
        Cohort(name="sailors", people=5, impostor_pairs=10, fmr=(0.0, 0.02, 0.03)),
        Cohort(name="pilots", people=5, impostor_pairs=10, fmr=(0.01, 0.01, 0.5)),
    ),
    "between_cohorts": (0.0, 0.005, 0.01),
    "cohort_data": CohortData(name="crews", images=10, median_inside=0.9),
}
