"""What the services need of the world; each has a real implementation, and a fake in tests/support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.domain.nouns import AlignedCrop, Embedding, Face, Pixels


class Detector(Protocol):
    def detect(self, image: Pixels) -> list[Face]:
        """Every face of an upright (H, W, 3) uint8 RGB photo, largest first."""
        ...


class Embedder(Protocol):
    @property
    def model(self) -> str:
        """The digest of the network, as `sha256:...`."""
        ...

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """One unit vector a crop, in order."""
        ...
