"""
Distillation: the targets of training are a teacher's vectors of the clean crops (Hinton et al. 2015, arXiv:1503.02531,
with vectors instead of classes).

The teacher is the starting network averaged over views of the crop, unless the config names another file.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from app.domain.arrays import Pixels
from app.faces.alignment import arcface_template
from app.inference.manifest import EmbedderManifest, LandmarkAlignment, read_checked, read_embedder
from app.inference.onnx_session import Session
from training.config.schema import TrainConfig
from training.data.dataset import FaceSet, read_crop
from training.engine import checkpoints
from training.networks.embedder import Embedder, FaceNetwork, Views, views_of
from training.networks.registry import build
from training.networks.weights import UnusableWeights, load_state

_CHUNK = 64

Progress = Callable[[range], Iterable[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """`embed` maps uint8 crops (C, crop_size, crop_size, 3) to unit vectors (C, D); `digest` identifies the teacher."""

    embed: Callable[[Tensor], Tensor]
    digest: str
    crop_size: int = 112


def network_teacher(network: FaceNetwork, *, views: Views = "mirror", device: torch.device | None = None) -> Teacher:
    """Return a teacher with the present weights of the network."""
    digest = hashlib.sha256(f"views {views}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    embedder = Embedder(network, views=views).eval().to(device)
    return Teacher(lambda crops: embedder(crops.to(device)).cpu(), digest.hexdigest(), network.crop_size)


def served_model_teacher(folder: Path, *, views: Views = "mirror") -> Teacher:
    """Return a served model that aligns faces as these crops are aligned. Raises UnusableWeights or StartError."""
    manifest = read_embedder(folder)
    if not _has_same_alignment(manifest):
        raise UnusableWeights(f"teacher.weights: {folder} aligns faces in another way than the training crops")
    session = Session(read_checked(folder, manifest.file), provider="auto")

    def vectors_of(crops: Pixels) -> Tensor:
        batches = np.split(crops, len(crops)) if manifest.batch == 1 else [crops]
        return torch.from_numpy(np.concatenate([session.run(batch)[0] for batch in batches]))  # (C, D)

    def embed(crops: Tensor) -> Tensor:
        views_ = [
            view.round().byte().permute(0, 2, 3, 1) for view in views_of(crops.permute(0, 3, 1, 2).float(), views)
        ]
        return functional.normalize(torch.stack([vectors_of(view.numpy()) for view in views_]).sum(0))

    return Teacher(embed, f"{manifest.file.digest} views {views}", manifest.crop_size)


def _has_same_alignment(manifest: EmbedderManifest) -> bool:
    """Return whether the model aligns by the same landmark template as the training crops, to a pixel in 112."""
    if not isinstance(manifest.alignment, LandmarkAlignment):
        return False
    difference = np.array(manifest.alignment.template) - arcface_template(manifest.crop_size)
    return bool(np.abs(difference).max() <= manifest.crop_size / 112)


def build_teacher(config: TrainConfig, network: FaceNetwork, device: torch.device | None = None) -> Teacher:
    """Return the teacher of the config: unless it names another, `network` with its starting weights."""
    settings = config.teacher
    if settings.weights is None:
        return network_teacher(network, views=settings.views, device=device)
    if settings.weights.is_dir():
        return served_model_teacher(settings.weights, views=settings.views)
    name, own = settings.network or config.network.name, config.network
    other = build(name, own.embedding_size, per_image_scaling=own.per_image_scaling)
    load_state(other, settings.weights)
    return network_teacher(other, views=settings.views, device=device)


def teacher_targets(
    teacher: Teacher, faces: FaceSet, cache: Path, size: int | None, progress: Progress = iter
) -> Tensor:
    """
    Return unit vectors (N, D) of all faces; from `cache` if it holds this teacher's vectors of these files.

    D must be `size`, unless that is None: then only the cosines between them are learned.

    `progress` wraps the range of chunks, for a progress bar.
    """
    key = hashlib.sha256(f"{teacher.digest}{faces.digest}{faces.format}".encode()).hexdigest()
    if (targets := _read(cache, key)) is None:
        targets = _embed(teacher, faces, progress)
        if size is not None and targets.shape[1] != size:
            raise UnusableWeights(
                f"expected a teacher with vectors of {size} numbers, got {targets.shape[1]}; set "
                "loss.distillation_weight to 0 and loss.relational_weight above it to learn its cosines alone"
            )
        checkpoints.write(cache, {"key": key, "targets": targets})
    return targets


def rotated_targets(targets: Tensor, start: Tensor, start_share: float) -> Tensor:
    """
    Return targets (N, D) rotated onto the starting network's vectors (N, D) and averaged with `start_share` of them.

    The rotation is that of least squares (Schoenemann 1966, orthogonal Procrustes). It leaves all distances between the
    targets as they are, and the network has less to change: weights blend only with others that are near.
    """
    left, _, right = torch.linalg.svd(targets.double().T @ start.double())
    rotated = targets @ (left @ right).to(targets)  # (N, D)
    return functional.normalize((1 - start_share) * rotated + start_share * start)


@torch.inference_mode()
def _embed(teacher: Teacher, faces: FaceSet, progress: Progress) -> Tensor:
    starts = range(0, len(faces), _CHUNK)
    return torch.cat([teacher.embed(_crops(faces, start, teacher.crop_size)) for start in progress(starts)]).clone()


def _crops(faces: FaceSet, start: int, size: int) -> Tensor:
    paths, form = faces.paths[start : start + _CHUNK], faces.format
    crops = [form.geometry.aligned(read_crop(path, form), size) for path in paths]
    return torch.from_numpy(np.stack(crops))  # (C, size, size, 3)


def _read(cache: Path, key: str) -> Tensor | None:
    if not cache.exists():
        return None
    saved = torch.load(cache, weights_only=True)
    targets: Tensor = saved["targets"]
    return targets if saved["key"] == key else None
