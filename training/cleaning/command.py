"""`python -m training clean`: the label errors of a training set, and the list of files that `data.exclude` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.domain.arrays import Pixels
from training.cleaning.label_errors import Duplicate, Outlier, duplicates, groups, outliers
from training.data.dataset import CropFormat, FaceSet, read_crop, read_faces
from training.data.packed_files import ImageFile
from training.errors import TrainingError
from training.pipeline.chunked_vectors import embed_in_chunks
from training.pipeline.embeddings import Embeddings
from training.pipeline.progress import with_progress
from training.pipeline.served_model import ServedModel


@dataclass(frozen=True, slots=True)
class CleaningOptions:
    """
    FMRs of the two thresholds, or the thresholds themselves, in normalized scores.

    An FMR that the model's calibration does not support is raised to its smallest.
    """

    same_fmr: float = 1e-3
    duplicate_fmr: float = 1e-5
    same_threshold: float | None = None
    duplicate_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The outliers, the people whose faces do not agree, and the pairs and groups of people who are one."""

    outliers: list[Outlier]
    unclear: list[int]
    pairs: list[Duplicate]
    groups: list[list[int]]


def run(
    roots: Sequence[Path], model: Path, options: CleaningOptions, *, crops: CropFormat, cache: Path | None = None
) -> dict[str, Any]:
    """Return the report on all faces under `roots`, whose `exclude` lists the files to leave out."""
    served = ServedModel.open(model)
    same = _threshold(served, options.same_fmr, options.same_threshold)
    duplicate = _threshold(served, options.duplicate_fmr, options.duplicate_threshold)
    faces = read_faces(roots, minimum=1, crops=crops)
    found = find(embed(served, faces, cache), faces, same, duplicate)
    return {
        "model": served.identity,
        "thresholds": {"same": same, "duplicate": duplicate},
        "faces": len(faces),
        "people": len(faces.names),
        **_lists(found, faces),
    }


def embed(model: ServedModel, faces: FaceSet, cache: Path | None) -> Embeddings:
    """Return the embeddings of all faces, as the service would compute them."""
    size, geometry = model.manifest.crop_size, faces.format.geometry

    def read(path: ImageFile) -> Pixels:
        return geometry.aligned(read_crop(path, faces.format), size)

    def crops(chunk: range) -> Pixels:
        return np.stack(with_progress("read", read, [faces.paths[face] for face in chunk]))

    return embed_in_chunks(model, len(faces), crops, faces=f"{faces.digest} {faces.format}", cache=cache)


def find(embeddings: Embeddings, faces: FaceSet, same: float, duplicate: float) -> LabelErrors:
    """Find outliers first; the other faces decide who is a duplicate."""
    by_person = [outliers(embeddings, own, same) for own in faces.faces_of]
    all_outliers = [outlier for found in by_person if found for outlier in found]
    wrong = {outlier.face for outlier in all_outliers}
    kept = [np.array([face for face in own.tolist() if face not in wrong], np.int64) for own in faces.faces_of]
    pairs = duplicates(embeddings, kept, duplicate)
    unclear = [person for person, found in enumerate(by_person) if found is None]
    return LabelErrors(all_outliers, unclear, pairs, groups(pairs, len(faces.names)))


def write(report: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def summary(report: dict[str, Any]) -> str:
    return (
        f"{report['faces']} faces of {report['people']} people: {len(report['outliers'])} outliers, "
        f"{len(report['duplicates'])} groups of people who are one, {len(report['unclear'])} people whose faces do not "
        f"agree; {len(report['exclude'])} files to exclude"
    )


def _threshold(model: ServedModel, fmr: float, given: float | None) -> float:
    if given is not None:
        return given
    if model.calibration is None:
        raise TrainingError(
            f"{model.manifest.id} has no calibration: run `calibrate`, or give --same-threshold and "
            "--duplicate-threshold"
        )
    return model.calibration.at(max(fmr, model.calibration.smallest_fmr)).threshold


def _lists(found: LabelErrors, faces: FaceSet) -> dict[str, Any]:
    kept = {max(group, key=lambda person: len(faces.faces_of[person])) for group in found.groups}
    removed = {person for group in found.groups for person in group} - kept
    excluded = {outlier.face for outlier in found.outliers}
    excluded |= {int(face) for person in removed for face in faces.faces_of[person]}
    return {
        "outliers": [{"file": faces.files[each.face], "nearest": round(each.nearest, 4)} for each in found.outliers],
        "unclear": [faces.names[person] for person in found.unclear],
        "duplicates": [
            {
                "kept": faces.names[next(person for person in group if person in kept)],
                "excluded": [faces.names[person] for person in group if person not in kept],
            }
            for group in found.groups
        ],
        "pairs": [
            {"people": [faces.names[each.first], faces.names[each.second]], "score": round(each.score, 4)}
            for each in found.pairs
        ],
        "exclude": sorted(faces.files[face] for face in excluded),
    }
