"""
Where each face should stay or go: a teacher's vector of the clean crop.

The teacher is the starting network averaged over views of the crop, unless the config names another file: distillation
(Hinton et al. 2015, arXiv:1503.02531) of vectors instead of classes. It has no part in the network that is kept.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from app.domain.nouns import Pixels
from app.faces.alignment import ARCFACE_112
from app.runtime.manifest import EmbedderManifest, LandmarkAlignment, read_checked, read_embedder
from app.runtime.session import Session
from training.config.schema import TrainConfig
from training.data.augmentation import SIZE, centre, sized
from training.data.dataset import FaceSet, read_crop
from training.engine import checkpoints
from training.networks.embedder import Embedder, FaceNetwork, Views, views_of
from training.networks.registry import build
from training.networks.weights import UnusableWeights, load_state

_CHUNK = 64

Track = Callable[[range], Iterable[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """`embed` takes uint8 crops (C, 112, 112, 3) to unit vectors (C, D); `digest` says which one it is."""

    embed: Callable[[Tensor], Tensor]
    digest: str


def of_network(network: FaceNetwork, *, views: Views = "mirror", device: torch.device | None = None) -> Teacher:
    """The network as it is now."""
    digest = hashlib.sha256(f"views {views}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    embedder = Embedder(network, views=views).eval().to(device)
    return Teacher(lambda crops: embedder(crops.to(device)).cpu(), digest.hexdigest())


def of_model(folder: Path, *, views: Views = "mirror") -> Teacher:
    """A served model that sees the faces aligned as these crops are; UnusableWeights, or StartError of its files."""
    manifest = read_embedder(folder)
    if not _aligns_as_here(manifest):
        raise UnusableWeights(f"teacher.weights: {folder} aligns faces in another way than the crops it would be shown")
    session = Session(read_checked(folder, manifest.file), provider="auto")

    def vectors_of(crops: Pixels) -> Tensor:
        fitted = np.stack([sized(crop, manifest.crop_size) for crop in crops])
        parts = np.split(fitted, len(fitted)) if manifest.batch == 1 else [fitted]
        return torch.from_numpy(np.concatenate([session.run(part)[0] for part in parts]))  # (C, D)

    def embed(crops: Tensor) -> Tensor:
        every = [view.round().byte().permute(0, 2, 3, 1) for view in views_of(crops.permute(0, 3, 1, 2).float(), views)]
        return functional.normalize(torch.stack([vectors_of(view.numpy()) for view in every]).sum(0))

    return Teacher(embed, f"{manifest.file.digest} views {views}")


def _aligns_as_here(manifest: EmbedderManifest) -> bool:
    """By the same five landmarks in the same places, to a pixel."""
    if not isinstance(manifest.alignment, LandmarkAlignment):
        return False
    template = np.array(manifest.alignment.template) * SIZE / manifest.crop_size
    return bool(np.abs(template - ARCFACE_112).max() <= 1)


def of_config(config: TrainConfig, network: FaceNetwork, device: torch.device | None = None) -> Teacher:
    """The config's teacher; that is `network`, which has its starting weights, unless it says otherwise."""
    settings = config.teacher
    if settings.weights is None:
        return of_network(network, views=settings.views, device=device)
    if settings.weights.is_dir():
        return of_model(settings.weights, views=settings.views)
    other = build(settings.network or config.network.name, config.network.embedding_size)
    load_state(other, settings.weights)
    return of_network(other, views=settings.views, device=device)


def targets(teacher: Teacher, faces: FaceSet, cache: Path, size: int, track: Track = iter) -> Tensor:
    """
    Unit vectors (N, D) of all faces, D = `size`, read from `cache` if they were made by this teacher from these files.

    `track` sees the starts of the chunks, for a progress bar.
    """
    key = hashlib.sha256((teacher.digest + faces.digest).encode()).hexdigest()
    if (known := _read(cache, key)) is None:
        known = _embed(teacher, faces, track)
        if known.shape[1] != size:
            raise UnusableWeights(f"want a teacher whose vectors have {size} numbers, got {known.shape[1]}")
        checkpoints.write(cache, {"key": key, "targets": known})
    return known


@torch.inference_mode()
def _embed(teacher: Teacher, faces: FaceSet, track: Track) -> Tensor:
    starts = range(0, len(faces), _CHUNK)
    return torch.cat([teacher.embed(_crops(faces, start)) for start in track(starts)]).clone()


def _crops(faces: FaceSet, start: int) -> Tensor:
    crops = [centre(read_crop(path)) for path in faces.paths[start : start + _CHUNK]]
    return torch.from_numpy(np.stack(crops))  # (C, 112, 112, 3)


def _read(cache: Path, key: str) -> Tensor | None:
    if not cache.exists():
        return None
    contents = torch.load(cache, weights_only=True)
    known: Tensor = contents["targets"]
    return known if contents["key"] == key else None
