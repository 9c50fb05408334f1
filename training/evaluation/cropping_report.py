"""
`python -m training evaluate cropping`: how tightly cropped photos change error rates, and why.

There are three possible reasons: missing pixels, wrong landmarks, and people who look alike. So photos of known people
are cropped as tightly as the photos of cohorts are, and aligned by the landmarks of the whole photo (then only pixels
are missing) or by those found in the cropped one. The photos of the cohorts are aligned in the same ways; people look
alike within cohorts, but not between them. The results are in docs/calibration.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from training.data.photo_groups import PhotoGroups
from training.data.sources import folder_per_person
from training.errors import TrainingError
from training.evaluation.all_pairs import all_pairs
from training.evaluation.bootstrap import interval, rate_curves, true_match_rates
from training.evaluation.cropping import (
    BORDERS,
    LandmarkedPhoto,
    LandmarkFinder,
    MeasuredCrop,
    align,
    crop_photo,
    frames_of,
)
from training.evaluation.demographics import CohortFaces, first_per_person, infer_people, measure
from training.pipeline.detection_cache import DetectedFaces, FaceFinder, read_photo
from training.pipeline.embeddings import Embeddings
from training.pipeline.progress import with_progress
from training.pipeline.served_model import ServedModel

REPLICATES = 200
FMR = 1e-4


def run(
    images: Path,
    cohorts: PhotoGroups,
    model: ServedModel,
    threshold: float,
    finder: FaceFinder,
    landmark_finders: Mapping[str, LandmarkFinder],
) -> dict[str, Any]:
    """
    Return the report: rows for photos of known people, whole and cropped, and for the cohorts' own photos.

    Raises TrainingError where no face is found.
    """
    paths, person_of = folder_per_person(images)
    whole, tight = finder.find_all(paths, "detect"), finder.find_all(cohorts.paths, "detect, cohorts")
    if not tight.found.any():
        raise TrainingError("no face found in the photos of the cohorts")
    known, *found = landmark_finders.items()
    other_borders = [border for border in BORDERS if border != "black"]
    rows = _Rows(model, threshold)
    uncropped, cropped, cohort_photos = _Photos(whole, None), _Photos(whole, frames_of(tight)), _Photos(tight, None)
    return {
        "model": model.identity,
        "threshold": threshold,
        "known_people": [
            {"photos": "whole", **rows.of_people(uncropped, person_of, *known, "black")},
            *[
                {"photos": "cut", **rows.of_people(cropped, person_of, *each, "black")}
                for each in landmark_finders.items()
            ],
            *[{"photos": "cut", **rows.of_people(cropped, person_of, *known, border)} for border in other_borders],
        ],
        "cohorts": [
            *[rows.of_cohorts(cohort_photos, cohorts, *each, "black") for each in found],
            *[rows.of_cohorts(cohort_photos, cohorts, *found[1], border) for border in other_borders],
        ],
    }


def summary(report: dict[str, Any]) -> str:
    lines = [
        f"{row['photos']}, landmarks {row['landmarks']}, border {row['border']}: inside {row['median_inside']:.2f}, "
        f"landmarks off {row['off']:.1f} px, FMR {row['fmr']:.2g}, FNMR {row['fnmr']:.3f}, "
        f"TMR at its own FMR 1e-4 {row['tmr']:.3f}"
        for row in report["known_people"]
    ]
    lines += [
        f"cohorts, landmarks {row['landmarks']}, border {row['border']}: inside {row['median_inside']:.2f}, "
        f"FMR between {row['between']:.2g}, median within {row['median_within']:.2g}"
        for row in report["cohorts"]
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Photos:
    """The photos with a face, each cropped to a random one of `frames`, or left whole."""

    detected: DetectedFaces
    frames: Floats | None

    def align(self, name: str, finder: LandmarkFinder, border: str) -> list[MeasuredCrop | None]:
        """Align the photos, None where no landmarks are found. Raises TrainingError if there are none in any."""
        random = np.random.default_rng(0)
        found = [(path, face) for path, face in zip(self.detected.paths, self.detected.faces, strict=True) if face]
        frames = [None if self.frames is None else self.frames[random.integers(len(self.frames))] for _ in found]

        def aligned(number: int) -> MeasuredCrop | None:
            path, face = found[number]
            return align(crop_photo(LandmarkedPhoto(read_photo(path), face.points), frames[number]), finder, border)

        crops = with_progress(f"{name}, {border}", aligned, range(len(found)))
        if not any(crops):
            raise TrainingError(f"no face found: landmarks {name}, border {border}")
        return crops


@dataclass(frozen=True)
class _Rows:
    model: ServedModel
    threshold: float

    def of_people(
        self, photos: _Photos, person_of: NDArray[np.int64], name: str, finder: LandmarkFinder, border: str
    ) -> dict[str, Any]:
        """Return the rates over all pairs of photos of known people."""
        crops = photos.align(name, finder, border)
        embeddings = self._embed(crops)
        pairs = all_pairs(embeddings, embeddings, person_of[photos.detected.found][_is_aligned(crops)])
        fmr, fnmr = rate_curves(pairs, np.array([self.threshold]), REPLICATES)
        tmr = true_match_rates(pairs, [FMR], REPLICATES)
        rates = {**_with_interval("fmr", fmr), **_with_interval("fnmr", fnmr), **_with_interval("tmr", tmr)}
        return {**_alignment_statistics(name, border, crops), **rates}

    def of_cohorts(
        self, photos: _Photos, cohorts: PhotoGroups, name: str, finder: LandmarkFinder, border: str
    ) -> dict[str, Any]:
        """Return the false match rates within and between cohorts."""
        crops = photos.align(name, finder, border)
        embeddings, cohort_of = self._embed(crops), cohorts.group_of[photos.detected.found][_is_aligned(crops)]
        person_of = infer_people([embeddings.vectors])
        inside = np.array([crop.inside for crop in crops if crop], np.float32)
        faces = CohortFaces(cohorts.names, embeddings, cohort_of, person_of, inside)
        rates = measure(faces.select(first_per_person(cohort_of, person_of)), [self.threshold])
        return {
            **_alignment_statistics(name, border, crops),
            **_with_interval("between", rates.between),
            **_with_interval("median_within", rates.median),
        }

    def _embed(self, crops: Sequence[MeasuredCrop | None]) -> Embeddings:
        return self.model.embed(np.stack([crop.pixels for crop in crops if crop]), "embed")


def _is_aligned(crops: Sequence[MeasuredCrop | None]) -> NDArray[np.bool_]:
    return np.array([crop is not None for crop in crops], bool)


def _with_interval(name: str, samples: NDArray[np.float64]) -> dict[str, Any]:
    """Return the value and interval of samples (1 + R, 1), the first of which is the data itself."""
    return {name: float(samples[0, 0]), f"{name}_interval": interval(samples[1:, 0])}


def _alignment_statistics(name: str, border: str, crops: Sequence[MeasuredCrop | None]) -> dict[str, Any]:
    aligned = [crop for crop in crops if crop]
    errors = [crop.landmark_error for crop in aligned]
    return {
        "landmarks": name,
        "border": border,
        "faces_not_found": len(crops) - len(aligned),
        "median_inside": float(np.median([crop.inside for crop in aligned])),
        "off": float(np.median(errors)),
        "off_p95": float(np.percentile(errors, 95)),
    }
