"""
`python -m training calibrate`: from a folder a person to `calibration.json` beside the model.

The rates are of all pairs of images; their intervals are bootstrapped over people, not pairs. The finest FMR is three
divided by the pairs of people (the rule of three: with no false match in n independent trials the rate is below 3 / n
at 95 %). FNMR counts faces that were found; those that were not are stated beside. See docs/CALIBRATION.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from app.domain.nouns import Floats
from app.matching.calibration import (
    CALIBRATION,
    Calibration,
    CalibrationData,
    Cohort,
    CohortData,
    ProbabilityMap,
    Rates,
)
from app.matching.distance import distances_between
from training.all_pairs import AllPairs, all_pairs, interval, rate_curves
from training.data import SUFFIXES
from training.errors import TrainingError
from training.metrics import threshold_at
from training.served import Crops, ServedModel, ServedReader

REPLICATES = 200
PER_DECADE = 50
RULE_OF_THREE = 3.0
COARSEST = 0.1  # an FMR beyond which a calibration says nothing
COHORT_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(27))  # 0.5 to 1.8
SAME_PERSON = 0.6
"""In a cohort of strangers, a pair nearer than this is taken for one person met twice, and left out."""


def run(images: Path, name: str, model: Path, cohorts: Path | None, models_dir: Path) -> Path:
    """Measure and write; the path written. Raises TrainingError where the folders are of no use."""
    served = ServedModel.open(model)
    reader = ServedReader(models_dir, served.manifest)
    paths, person_of = folder_per_person(images)
    crops = reader.read_all(paths, "detect")
    vectors = served.embed(crops.pixels, "embed")
    pairs = all_pairs(vectors, vectors, person_of[crops.found])
    if not len(pairs.genuine) or RULE_OF_THREE / max(1, pairs.impostor_people_pairs) > COARSEST:
        raise TrainingError(f"{images} supports no FMR of {COARSEST}: want at least 9 people, some with two photos")
    measured = _cohorts(cohorts, served, reader) if cohorts else _Cohorts()
    calibration = Calibration(
        model=served.manifest.file.digest,
        data=_data(name, pairs, crops),
        promise="average",
        finest_fmr=RULE_OF_THREE / pairs.impostor_people_pairs,
        rates=measured_rates(pairs),
        probability=fit_probability(pairs.genuine, pairs.impostors),
        cohort_thresholds=COHORT_THRESHOLDS if cohorts else (),
        cohorts=measured.cohorts,
        cohort_data=measured.data,
    )
    path = model / CALIBRATION
    path.write_text(calibration.model_dump_json(indent=1) + "\n")
    return path


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


def _data(name: str, pairs: AllPairs, crops: Crops) -> CalibrationData:
    return CalibrationData(
        name=name,
        people=int((pairs.images_of > 0).sum()),
        images=int(crops.found.sum()),
        impostor_pairs=len(pairs.impostors),
        impostor_people_pairs=pairs.impostor_people_pairs,
        genuine_pairs=len(pairs.genuine),
        faces_not_found=int((~crops.found).sum()),
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


@dataclass(frozen=True, slots=True)
class _Cohorts:
    cohorts: tuple[Cohort, ...] = ()
    data: CohortData | None = None


def _cohorts(root: Path, served: ServedModel, reader: ServedReader) -> _Cohorts:
    """Each folder of `root` is a cohort of strangers: every image another person. One without a pair is left out."""
    paths, cohort_of = folder_per_person(root)
    crops = reader.read_all(paths, "detect, cohorts")
    vectors, cohort_of = served.embed(crops.pixels, "embed, cohorts"), cohort_of[crops.found]
    names = sorted({path.relative_to(root).parts[0] for path in paths})
    data = CohortData(name=root.name, images=len(vectors), median_inside=round(float(np.median(crops.inside)), 3))
    measured = [_cohort(name, vectors[cohort_of == number]) for number, name in enumerate(names)]
    kept = tuple(cohort for cohort in measured if cohort.impostor_pairs)
    if not kept:
        raise TrainingError(f"no folder of {root} has two strangers in it: want one folder a cohort")
    return _Cohorts(kept, data)


def _cohort(name: str, vectors: Floats) -> Cohort:
    distances = distances_between(vectors, vectors)[np.triu_indices(len(vectors), 1)]
    impostors = distances[distances >= SAME_PERSON]
    fmr = tuple(float(np.sum(impostors <= threshold) / max(1, len(impostors))) for threshold in COHORT_THRESHOLDS)
    return Cohort(name=name, people=len(vectors), impostor_pairs=len(impostors), fmr=fmr)
