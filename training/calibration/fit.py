"""
`python -m training calibrate`: measure error rates on photos, one folder per person, and write calibration.json.

The rates are over all pairs of images; their intervals are bootstrapped over people, not pairs. The finest FMR is three
divided by the pairs of people (the rule of three: with no false match in n independent trials the rate is below 3 / n
at 95 %). FNMR is over the faces that were found; the number of others is recorded too. See docs/calibration.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from app.domain.arrays import Floats
from app.matching.calibration import (
    CALIBRATION,
    Calibration,
    CalibrationData,
    FmrScope,
    ProbabilityMap,
    Rates,
)
from training.calibration.worst_cohort import COARSEST_FMR, REPLICATES, cohort_faces, for_worst_cohort, with_cohorts
from training.data.sources import folder_per_person
from training.errors import TrainingError
from training.evaluation.all_pairs import AllPairs, all_pairs
from training.evaluation.bootstrap import RULE_OF_THREE, interval, rate_curves
from training.evaluation.metrics import threshold_at
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel

PER_DECADE = 50


def calibrate(
    images: Path,
    name: str,
    model: Path,
    cohorts: Sequence[Path],
    models_dir: Path,
    *,
    fmr_scope: FmrScope = "overall",
    cache: Path | None = None,
) -> Path:
    """Measure, write calibration.json beside the model and return its path. Raises TrainingError."""
    if fmr_scope == "worst_cohort" and not cohorts:
        raise TrainingError("--fmr-scope worst_cohort needs --cohorts")
    served, finder = ServedModel.open_uncalibrated(model, cache), FaceFinder(models_dir, cache=cache)
    paths, person_of = folder_per_person(images)
    detected = finder.find_all(paths, "detect")
    embeddings, _ = embed_faces(served, detected)
    pairs = all_pairs(embeddings, embeddings, person_of[detected.found])
    if not len(pairs.genuine) or RULE_OF_THREE / max(1, pairs.impostor_people_pairs) > COARSEST_FMR:
        raise TrainingError(
            f"{images} supports no FMR of {COARSEST_FMR}: expected at least 9 people, some with two photos"
        )
    calibration = fit_calibration(
        served.manifest.file.digest, _data(name, pairs, detected.found), pairs, served.manifest.offset_digest
    )
    if cohorts:
        sets = cohort_faces(cohorts, served, finder)
        calibration = with_cohorts(calibration, sets)
        calibration = for_worst_cohort(calibration, pairs, sets) if fmr_scope == "worst_cohort" else calibration
    path = model / CALIBRATION
    path.write_text(calibration.model_dump_json(indent=1) + "\n")
    return path


def summary(model: Path) -> str:
    """Describe the calibration beside the model in one line."""
    calibration = Calibration.model_validate_json((model / CALIBRATION).read_bytes())
    data = calibration.data
    return (
        f"FMRs ({calibration.fmr_scope}) on {data.name}, the finest {calibration.smallest_fmr:.1e} "
        f"({calibration.people_pairs} pairs of people)"
    )


def fit_calibration(
    digest: str, data: CalibrationData, pairs: AllPairs, threshold_offset: str | None = None
) -> Calibration:
    """Return a calibration over all `pairs`, without cohorts; their scores contain the offsets of that digest."""
    return Calibration(
        model=digest,
        threshold_offset=threshold_offset,
        data=data,
        fmr_scope="overall",
        finest_fmr=RULE_OF_THREE / pairs.impostor_people_pairs,
        rates=measured_rates(pairs),
        probability=fit_probability(pairs.genuine, pairs.impostors),
    )


def fit_probability(genuine: Floats, impostors: Floats) -> ProbabilityMap:
    """
    Fit P(one person | distance) by logistic regression, genuine and impostor pairs having equal total weight.

    The targets are Platt's (1999), slightly inside 0 and 1, so that perfectly separated pairs have a finite slope.
    """
    impostors = impostors[:: max(1, len(impostors) // 200_000)]  # sorted, so this thins them evenly
    genuine_target, impostor_target = (len(genuine) + 1) / (len(genuine) + 2), 1 / (len(impostors) + 2)

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, intercept = parameters
        of_genuine = _cross_entropy(slope * genuine + intercept, genuine_target)
        return of_genuine + _cross_entropy(slope * impostors + intercept, impostor_target)

    slope, intercept = optimize.minimize(loss, np.array([10.0, -12.0]), method="Nelder-Mead").x
    if not slope > 0:
        raise TrainingError("genuine pairs are not closer than impostor pairs: this network cannot distinguish people")
    return ProbabilityMap(slope=float(slope), intercept=float(intercept))


def _cross_entropy(logits: NDArray[np.floating], target: float) -> float:
    """Return the mean cross entropy of P = 1 / (1 + exp(logit)) against `target`."""
    logits = logits.astype(np.float64)
    return float(np.mean(target * np.logaddexp(0, logits) + (1 - target) * np.logaddexp(0, -logits)))


def probabilities(distances: Floats, fitted: ProbabilityMap) -> NDArray[np.float64]:
    """Return Calibration.probability_at of many distances."""
    return special.expit(-(fitted.slope * distances.astype(np.float64) + fitted.intercept))


def _data(name: str, pairs: AllPairs, found: NDArray[np.bool_]) -> CalibrationData:
    return CalibrationData(
        name=name,
        people=int((pairs.images_of > 0).sum()),
        images=int(found.sum()),
        impostor_pairs=len(pairs.impostors),
        impostor_people_pairs=pairs.impostor_people_pairs,
        genuine_pairs=len(pairs.genuine),
        faces_not_found=int((~found).sum()),
    )


def measured_rates(pairs: AllPairs) -> tuple[Rates, ...]:
    """Return rates at the exact thresholds of evenly spaced FMRs, down to the finest, and at every 0.05 below."""
    impostors = pairs.impostors.astype(np.float64)
    finest = RULE_OF_THREE / pairs.impostor_people_pairs
    fmrs = np.geomspace(finest, 1, 1 + int(np.ceil(PER_DECADE * -np.log10(finest))))
    exact = {max(0.0, threshold_at(impostors, fmr)) for fmr in [*fmrs, *10.0 ** np.arange(-6, 0)]}
    below = np.arange(0, min(exact), 0.05).round(2)
    thresholds = np.array(sorted({*exact, *below.tolist(), 4.0}))
    fmr, fnmr = rate_curves(pairs, thresholds, REPLICATES)
    return tuple(
        Rates(
            threshold=float(threshold),
            fmr=float(fmr[0, column]),
            fmr_interval=interval(fmr[1:, column]),
            fnmr=max(0.0, float(fnmr[0, column])),
            fnmr_interval=interval(fnmr[1:, column]),
        )
        for column, threshold in enumerate(thresholds)
    )
