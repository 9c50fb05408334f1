"""
A verification task, and what a model makes of it: photos and pairs of them to embeddings and scores.

A face that is not found matches nobody: its scores are 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from app.faces.alignment import arcface_template
from app.inference.manifest import EmbedderManifest, LandmarkAlignment
from training.data import augmentation
from training.data.crops import CROPS_112
from training.errors import TrainingError
from training.evaluation.pair_files import read_pairs
from training.evaluation.pairs import PairList
from training.pipeline.detection_cache import DetectedFaces, FaceFinder, embed_faces
from training.pipeline.embeddings import Embeddings
from training.pipeline.served_model import ServedModel

DEGRADED = {"size": 40, "quality": 40, "noise": 1.0}
"""The degraded probe: the crop 40 px wide, JPEG quality 40, landmarks off by N(0, 1) px."""


@dataclass(frozen=True)
class VerificationTask:
    """Photos, the pairs of them to decide on, and the faces found in them."""

    images: Path
    pairs: PairList
    detected: DetectedFaces

    @classmethod
    def open(cls, images: Path, pairs: Path, finder: FaceFinder) -> VerificationTask:
        """Read the pairs and find the faces. Raises TrainingError if photos are missing or none has a face."""
        pair_list = read_pairs(pairs)
        paths = [images / name for name in pair_list.images]
        if missing := [path for path in paths if not path.is_file()]:
            raise TrainingError(f"{len(missing)} images of {pairs} are not in {images}, the first is {missing[0]}")
        detected = finder.find_all(paths, "detect")
        if not detected.found.any():
            raise TrainingError(f"no face found in any of the {len(paths)} images")
        return cls(images, pair_list, detected)

    @property
    def person_of(self) -> NDArray[np.int64] | None:
        """The person on each photo with a face; None if the pairs do not say."""
        people = self.pairs.person_of
        return None if people is None else people[self.detected.found]

    @property
    def known_people(self) -> NDArray[np.int64]:
        """The person on each photo with a face. Raises TrainingError if the pairs do not say."""
        if self.person_of is None:
            raise TrainingError(
                "expected pairs whose folders are people: otherwise it is unknown which of all pairs are genuine"
            )
        return self.person_of


@dataclass(frozen=True)
class EmbeddedFaces:
    """A model's embeddings of the photos with a face: `clean`, and `degraded` for models of ArcFace crops."""

    model: ServedModel
    embeddings: Mapping[str, Embeddings]
    inside: Floats

    @property
    def clean(self) -> Embeddings:
        return self.embeddings["clean"]


def embed(model: ServedModel, detected: DetectedFaces, *, degraded: bool = True) -> EmbeddedFaces:
    """Embed the faces found and, if asked and possible, degraded copies of them."""
    clean, inside = embed_faces(model, detected)
    embeddings = {"clean": clean}
    if degraded and uses_arcface_112(model.manifest):
        crops = detected.crops(CROPS_112.aligner(), "align, with a margin").pixels
        copies = np.array([_degrade(number, crop) for number, crop in enumerate(crops)])
        embeddings["degraded"] = model.embed(copies, f"embed degraded, {model.manifest.id}")
    return EmbeddedFaces(model, embeddings, inside)


def uses_arcface_112(manifest: EmbedderManifest) -> bool:
    """Return whether the model takes ArcFace crops of 112 px, those of the degraded probe."""
    alignment = LandmarkAlignment(template=arcface_template(112))
    return manifest.crop_size == 112 and manifest.alignment == alignment


def _degrade(seed: int, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return augmentation.degrade(
        crop, size=int(DEGRADED["size"]), quality=int(DEGRADED["quality"]), noise=DEGRADED["noise"], random=random
    )


def pair_scores(embeddings: Embeddings, found: NDArray[np.bool_], pairs: PairList) -> NDArray[np.float64]:
    """Return the normalized score of each pair, (N,); 4 where a face was not found."""
    row = np.maximum(np.cumsum(found) - 1, 0)
    both = found[pairs.first] & found[pairs.second]
    first, second = embeddings.select(row[pairs.first]), embeddings.select(row[pairs.second])
    return np.where(both, first.paired_scores(second), 4.0)
