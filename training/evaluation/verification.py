"""
`python -m training evaluate lfw`: what the served pipeline is worth, from bytes to distance.

LFW's protocol (accuracy over folds, VAL at FAR, EER, AUC) on its pairs, and on all pairs of its images the true match
rate at FMRs that a service can live with. A face that is not found matches nobody: distance 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.nouns import Floats
from app.faces.alignment import ARCFACE_112, LandmarkAligner, arcface_template
from app.runtime.manifest import EmbedderManifest, LandmarkAlignment
from training.data import augmentation
from training.data.dataset import CROP_SIZE, MARGIN
from training.errors import TrainingError
from training.evaluation.pairs import PairList, read_pairs
from training.pipeline.detection_cache import FaceFinder, Sights, embed_faces
from training.pipeline.served_model import ServedModel

DEGRADED = {"size": 40, "quality": 40, "noise": 1.0}
"""The degraded probe: the crop 40 px wide, JPEG quality 40, landmarks off by N(0, 1) px."""


@dataclass(frozen=True)
class Task:
    """Photos, the pairs of them to be told apart, and where their faces are."""

    images: Path
    protocol: PairList
    sights: Sights

    @classmethod
    def open(cls, images: Path, pairs: Path, finder: FaceFinder) -> Task:
        """Raises TrainingError where photos of the list are missing."""
        protocol_ = read_pairs(pairs)
        paths = [images / name for name in protocol_.images]
        if missing := [path for path in paths if not path.is_file()]:
            raise TrainingError(f"{len(missing)} images of {pairs} are not in {images}, the first is {missing[0]}")
        sights = finder.find_all(paths, "detect")
        if not sights.found.any():
            raise TrainingError(f"no face found in any of the {len(paths)} images")
        return cls(images, protocol_, sights)

    @property
    def person_of(self) -> NDArray[np.int64] | None:
        """Of each photo with a face; None where the list does not tell."""
        people = self.protocol.person_of
        return None if people is None else people[self.sights.found]

    @property
    def known_people(self) -> NDArray[np.int64]:
        """Raises TrainingError where the list does not tell: nobody knows then which of all pairs are genuine."""
        if self.person_of is None:
            raise TrainingError("want pairs whose folders are people: of other photos not all pairs can be judged")
        return self.person_of


@dataclass(frozen=True)
class Embedded:
    """What a model makes of the photos with a face: unit vectors (N, D), clean, and degraded where it can be said."""

    model: ServedModel
    vectors: Mapping[str, Floats]
    inside: Floats

    @property
    def clean(self) -> Floats:
        return self.vectors["clean"]


def embed(model: ServedModel, sights: Sights) -> Embedded:
    clean, inside = embed_faces(model, sights)
    vectors = {"clean": clean}
    if takes_arcface_112(model.manifest):
        wide = tuple((x + MARGIN, y + MARGIN) for x, y in ARCFACE_112)
        crops = sights.crops(LandmarkAligner(wide, CROP_SIZE), "align, with a margin").pixels
        degraded = np.array([_degrade(number, crop) for number, crop in enumerate(crops)])
        vectors["degraded"] = model.embed(degraded, f"embed degraded, {model.manifest.id}")
    return Embedded(model, vectors, inside)


def takes_arcface_112(manifest: EmbedderManifest) -> bool:
    """Whether `augmentation` speaks of its crops."""
    alignment = LandmarkAlignment(template=arcface_template(112))
    return manifest.crop_size == 112 and manifest.alignment == alignment


def _degrade(seed: int, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return augmentation.degrade(
        crop, size=int(DEGRADED["size"]), quality=int(DEGRADED["quality"]), noise=DEGRADED["noise"], random=random
    )


def distances_of(vectors: Floats, found: NDArray[np.bool_], pairs: PairList) -> NDArray[np.float64]:
    """Of each pair of the protocol, (N,); 4 where a face was not found."""
    row = np.maximum(np.cumsum(found) - 1, 0)
    both = found[pairs.first] & found[pairs.second]
    first, second = vectors[row[pairs.first]], vectors[row[pairs.second]]
    distances = ((first - second).astype(np.float64) ** 2).sum(axis=1)
    return np.where(both, distances, 4.0)
