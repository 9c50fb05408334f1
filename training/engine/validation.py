"""Accuracy of the current weights on held-out people."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.augmentation import center_crop
from training.data.dataset import FaceSet, read_crop
from training.evaluation.bootstrap import finest_fmr
from training.evaluation.metrics import area_under_curve, share_within, threshold_at
from training.losses.functional import squared_l2
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


def validate(network: FaceNetwork, weights: dict[str, Tensor], faces: FaceSet, *, step: int, fmr: float) -> Validation:
    """Validate a copy of the network with these weights; `fmr` is raised to the finest that the people support."""
    vectors = embed_crops(network, weights, faces.paths)  # (N, D)
    labels = torch.from_numpy(faces.labels)
    rows, columns = torch.triu_indices(len(labels), len(labels), 1)
    distances = squared_l2(vectors)[rows, columns].double().numpy()
    same = (labels[rows] == labels[columns]).numpy()
    genuine, impostors = np.sort(distances[same]), np.sort(distances[~same])
    fmr = max(fmr, finest_fmr(math.comb(len(faces.names), 2)))
    return Validation(
        step=step,
        people=len(faces.names),
        faces=len(faces),
        auc=area_under_curve(genuine, impostors),
        tmr=share_within(genuine, threshold_at(impostors, fmr)),
        fmr=fmr,
    )


@torch.inference_mode()
def embed_crops(network: FaceNetwork, weights: dict[str, Tensor], paths: Sequence[Path]) -> Tensor:
    """Return unit vectors (N, D) of the clean crops, by a copy of the network, which stays in training mode."""
    copied = copy.deepcopy(network)
    copied.load_state_dict(weights)
    embedder, device = Embedder(copied).eval(), next(copied.parameters()).device
    embedder.to(device)
    chunks = (paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK))
    return torch.cat([embedder(_crops(chunk).to(device)).cpu() for chunk in chunks]).clone()


def _crops(paths: Sequence[Path]) -> Tensor:
    return torch.from_numpy(np.stack([center_crop(read_crop(path)) for path in paths]))  # (C, 112, 112, 3)
