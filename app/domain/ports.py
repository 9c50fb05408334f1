"""Interfaces that the services depend on; each has a real implementation, and a fake in tests/support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from app.domain.models import AlignedCrop, Embedding, Face, Floats, Liveness, Pixels


class Observer(Protocol):
    """Receives events for metrics. Methods must return quickly and never raise."""

    def on_photo(self, faces: int) -> None:
        """A photo was read and `faces` were found in it."""
        ...

    def on_rejected(self, reason: str) -> None:
        """An image could not be used; `reason` is a problem code."""
        ...

    def on_compared(self, distance: float, *, match: bool) -> None:
        """Two faces at the squared L2 `distance` were compared by a verification."""
        ...

    def on_batch(self, faces: int) -> None:
        """A batch of `faces` was embedded in one run of the network."""
        ...

    def on_expired(self, faces: int) -> None:
        """The retention task erased `faces`."""
        ...


class NoObserver:
    """Ignores every event."""

    def on_photo(self, faces: int) -> None: ...

    def on_rejected(self, reason: str) -> None: ...

    def on_compared(self, distance: float, *, match: bool) -> None: ...

    def on_batch(self, faces: int) -> None: ...

    def on_expired(self, faces: int) -> None: ...


class Detector(Protocol):
    def detect(self, image: Pixels) -> list[Face]:
        """Return every face of an upright (H, W, 3) uint8 RGB photo, largest first."""
        ...

    def search(self, image: Pixels) -> list[Face]:
        """Return the faces that `detect`, which found none, may have missed: a search that takes longer."""
        ...


class Aligner(Protocol):
    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """Cut the face out of an upright (H, W, 3) uint8 RGB photo as the embedder expects it."""
        ...


class Embedder(Protocol):
    @property
    def model(self) -> str:
        """The digest of the network, as `sha256:...`."""
        ...

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """Return one unit vector per crop, in order."""
        ...


class LivenessDetector(Protocol):
    def assess(self, image: Pixels, faces: Sequence[Face]) -> list[Liveness]:
        """Return the liveness of each face of a (H, W, 3) uint8 RGB photo, in order."""
        ...


class ThresholdOffsets(Protocol):
    @property
    def model(self) -> str | None:
        """The digest of the network whose vectors have these offsets."""
        ...

    def of(self, vectors: Floats) -> Floats:
        """Return the threshold offset (N,) of each unit vector (N, D)."""
        ...


class NoThresholdOffsets:
    """The offsets of a model that has none."""

    model = None

    def of(self, vectors: Floats) -> Floats:
        return np.zeros(len(vectors), np.float32)
