"""Accuracy of the current weights on held-out people."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from app.domain.arrays import Pixels
from training.data.dataset import FORMAT_112, CropFormat, FaceSet, read_crop
from training.data.packed_files import ImageFile
from training.evaluation.bootstrap import finest_fmr
from training.evaluation.histograms import pair_histograms
from training.networks.embedder import Embedder, FaceNetwork

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Validation:
    """The area under the ROC curve and the TMR at `fmr`, over all pairs of `faces` clean crops of `people`."""

    step: int
    people: int
    faces: int
    auc: float
    tmr: float
    fmr: float

    def __str__(self) -> str:
        return f"AUC {self.auc:.4f}, TMR {self.tmr:.3f} at FMR {self.fmr:.1g} on {self.people} held-out people"


@dataclass(frozen=True, slots=True)
class PairsResult:
    """Means over the folds with their standard errors; VAL is the share of genuine pairs accepted at `far`."""

    step: int
    accuracy: float
    accuracy_error: float
    val: float
    val_error: float
    far: float

    def __str__(self) -> str:
        return (
            f"accuracy {self.accuracy:.4f} +- {self.accuracy_error:.4f}, "
            f"VAL {self.val:.4f} +- {self.val_error:.4f} at FAR {self.far:.2g} on the pairs"
        )


def validate(
    network: FaceNetwork, weights: dict[str, Tensor], faces: FaceSet, *, step: int, fmr: float, block_size: int
) -> Validation:
    """
    Validate a copy of the network with these weights; `fmr` is raised to the finest that the people support.

    `block_size` faces are compared at once, which bounds the memory.
    """
    vectors = embed_crops(network, weights, faces.paths, faces.format).numpy()  # (N, D)
    histograms = pair_histograms(vectors, faces.labels, block_size)
    fmr = max(fmr, finest_fmr(math.comb(len(faces.names), 2)))
    return Validation(
        step=step,
        people=len(faces.names),
        faces=len(faces),
        auc=histograms.area_under_curve(),
        tmr=histograms.true_match_rate(fmr),
        fmr=fmr,
    )


def embed_crops(
    network: FaceNetwork, weights: dict[str, Tensor], paths: Sequence[ImageFile], crops: CropFormat = FORMAT_112
) -> Tensor:
    """Return unit vectors (N, D) of the clean crops, by a copy of the network, which stays in training mode."""
    return embed_images(network, weights, [partial(_clean_crop, path, crops) for path in paths])


@torch.inference_mode()
def embed_images(network: FaceNetwork, weights: dict[str, Tensor], images: Sequence[Callable[[], Pixels]]) -> Tensor:
    """Return unit vectors (N, D) of images that are made when they are needed, (crop_size, crop_size, 3) each."""
    copied = copy.deepcopy(network)
    copied.load_state_dict(weights)
    embedder, device = Embedder(copied).eval(), next(copied.parameters()).device
    embedder.to(device)
    chunks = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
    return torch.cat([embedder(_stacked(chunk).to(device)).cpu() for chunk in chunks]).clone()


def _stacked(images: Sequence[Callable[[], Pixels]]) -> Tensor:
    return torch.from_numpy(np.stack([image() for image in images]))  # (C, S, S, 3)


def _clean_crop(path: ImageFile, crops: CropFormat) -> Pixels:
    return crops.geometry.center(read_crop(path, crops))
