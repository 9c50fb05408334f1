"""
`python -m training calibrate`: from a folder a person to `calibration.json` beside the model.

The rates are of all pairs of images; their intervals are bootstrapped over people, not pairs. The finest FMR is three
divided by the pairs of people (the rule of three: with no false match in n independent trials the rate is below 3 / n
at 95 %). FNMR counts faces that were found; those that were not are stated beside. See docs/calibration.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from app.domain.models import Floats
from app.matching.calibration import (
    CALIBRATION,
    Calibration,
    CalibrationData,
    ProbabilityMap,
    Promise,
    Rates,
)
from training.all_pairs import AllPairs, all_pairs, interval, rate_curves
from training.cohorts import RULE_OF_THREE
from training.data import SUFFIXES
from training.errors import TrainingError
from training.metrics import threshold_at
from training.promises import COARSEST, REPLICATES, cohort_faces, for_the_worst, with_cohorts
from training.served import ServedModel
from training.sights import FaceFinder, embed_faces

PER_DECADE = 50


def run(
    images: Path,
    name: str,
    model: Path,
    cohorts: Path | None,
    models_dir: Path,
    *,
    promise: Promise = "average",
    memory: Path | None = None,
) -> Path:
    """Measure and write; the path written. Raises TrainingError where the folders are of no use."""
    if promise == "worst" and cohorts is None:
        raise TrainingError("want --cohorts to promise for the worst of them")
    served, finder = ServedModel.open(model), FaceFinder(models_dir, memory=memory)
    paths, person_of = folder_per_person(images)
    sights = finder.find_all(paths, "detect")
    vectors, _ = embed_faces(served, sights)
    pairs = all_pairs(vectors, vectors, person_of[sights.found])
    if not len(pairs.genuine) or RULE_OF_THREE / max(1, pairs.impostor_people_pairs) > COARSEST:
        raise TrainingError(f"{images} supports no FMR of {COARSEST}: want at least 9 people, some with two photos")
    calibration = calibrated(served.manifest.file.digest, _data(name, pairs, sights.found), pairs)
    if cohorts:
        faces = cohort_faces(cohorts, served, finder)
        calibration = with_cohorts(calibration, cohorts.stem, faces)
        calibration = for_the_worst(calibration, pairs, faces) if promise == "worst" else calibration
    path = model / CALIBRATION
    path.write_text(calibration.model_dump_json(indent=1) + "\n")
    return path


def summary(model: Path) -> str:
    """What the calibration beside the model promises, for whom, and how fine."""
    calibration = Calibration.model_validate_json((model / CALIBRATION).read_bytes())
    data = calibration.data
    return (
        f"FMRs for the {calibration.promise} of {data.name}, the finest {calibration.smallest_fmr:.1e} "
        f"({calibration.people_pairs} pairs of people)"
    )


def calibrated(digest: str, data: CalibrationData, pairs: AllPairs) -> Calibration:
    """A promise for the average of the people of `pairs`."""
    return Calibration(
        model=digest,
        data=data,
        promise="average",
        finest_fmr=RULE_OF_THREE / pairs.impostor_people_pairs,
        rates=measured_rates(pairs),
        probability=fit_probability(pairs.genuine, pairs.impostors),
    )


def folder_per_person(root: Path) -> tuple[list[Path], NDArray[np.int64]]:
    """Every image below each folder of `root`, and the number of its folder; TrainingError where there are not two."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found = [
        (path, number)
        for number, folder in enumerate(folders)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if len({number for _, number in found}) < 2:
        raise TrainingError(f"want a folder a person, at least two with images, in {root}")
    return [path for path, _ in found], np.array([number for _, number in found], np.int64)


def fit_probability(genuine: Floats, impostors: Floats) -> ProbabilityMap:
    """
    Logistic regression of "one person" on distance, genuine and impostor pairs weighing alike.

    The targets are Platt's (1999), a little inside 0 and 1: kinds that are wholly apart give no infinite slope.
    """
    impostors = impostors[:: max(1, len(impostors) // 200_000)]  # of sorted distances: an even thinning
    near, far = (len(genuine) + 1) / (len(genuine) + 2), 1 / (len(impostors) + 2)

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, intercept = parameters
        return _cross_entropy(slope * genuine + intercept, near) + _cross_entropy(slope * impostors + intercept, far)

    slope, intercept = optimize.minimize(loss, np.array([10.0, -12.0]), method="Nelder-Mead").x
    if not slope > 0:
        raise TrainingError("genuine pairs are no nearer than impostor pairs: this network tells nobody apart")
    return ProbabilityMap(slope=float(slope), intercept=float(intercept))


def _cross_entropy(logits: NDArray[np.floating], target: float) -> float:
    """Mean, of P = 1 / (1 + exp(logit)) against `target`."""
    logits = logits.astype(np.float64)
    return float(np.mean(target * np.logaddexp(0, logits) + (1 - target) * np.logaddexp(0, -logits)))


def probabilities(distances: Floats, fitted: ProbabilityMap) -> NDArray[np.float64]:
    """As Calibration.probability_at, of many."""
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
    """At thresholds that are exact for evenly spaced FMRs, down to the finest, and every 0.05 below."""
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
