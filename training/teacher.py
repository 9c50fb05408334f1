"""Where each face should stay: the starting network's vector of the clean crop, averaged with its mirror image."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training import checkpoints
from training.augmentation import centre
from training.data import FaceSet, read_crop
from training.networks import Embedder, FaceNetwork

_CHUNK = 64

Track = Callable[[range], Iterable[int]]


def targets(network: FaceNetwork, faces: FaceSet, cache: Path, track: Track = iter) -> Tensor:
    """
    Unit vectors (N, D) of all faces, read from `cache` if they were made by these weights from these files.

    `track` sees the starts of the chunks, for a progress bar.
    """
    key = _key(network, faces)
    if (known := _read(cache, key)) is None:
        known = _embed(network, faces, track)
        checkpoints.write(cache, {"key": key, "targets": known})
    return known


@torch.inference_mode()
def _embed(network: FaceNetwork, faces: FaceSet, track: Track) -> Tensor:
    embedder = Embedder(network, mirror=True).eval()
    starts = range(0, len(faces), _CHUNK)
    return torch.cat([embedder(_crops(faces, start)) for start in track(starts)]).clone()


def _crops(faces: FaceSet, start: int) -> Tensor:
    crops = [centre(read_crop(path)) for path in faces.paths[start : start + _CHUNK]]
    return torch.from_numpy(np.stack(crops))  # (C, 112, 112, 3)


def _read(cache: Path, key: str) -> Tensor | None:
    if not cache.exists():
        return None
    contents = torch.load(cache, weights_only=True)
    known: Tensor = contents["targets"]
    return known if contents["key"] == key else None


def _key(network: FaceNetwork, faces: FaceSet) -> str:
    digest = hashlib.sha256(faces.digest.encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
