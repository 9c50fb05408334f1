"""What the services need of the world; each has a real implementation, and a fake in tests/support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.domain.models import AlignedCrop, Embedding, Face, Pixels


class Observer(Protocol):
    """Told what happens inside, for metrics; must be quick and never fail."""

    def photo(self, faces: int) -> None:
        """A photo was read, with so many faces found."""
        ...

    def rejected(self, reason: str) -> None:
        """An image could not be used; `reason` is a problem code."""
        ...

    def compared(self, distance: float, *, match: bool) -> None:
        """The squared L2 distance of a verification."""
        ...

    def batch(self, faces: int) -> None:
        """So many faces were embedded in one run."""
        ...

    def expired(self, faces: int) -> None:
        """So many faces were erased by retention."""
        ...


class NoObserver:
    """An Observer that nobody asks: for commands, and for whoever does not care."""

    def photo(self, faces: int) -> None: ...

    def rejected(self, reason: str) -> None: ...

    def compared(self, distance: float, *, match: bool) -> None: ...

    def batch(self, faces: int) -> None: ...

    def expired(self, faces: int) -> None: ...


class Detector(Protocol):
    def detect(self, image: Pixels) -> list[Face]:
        """Every face of an upright (H, W, 3) uint8 RGB photo, largest first."""
        ...


class Aligner(Protocol):
    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """The face of an upright (H, W, 3) uint8 RGB photo, cut out as the embedder wants it."""
        ...


class Embedder(Protocol):
    @property
    def model(self) -> str:
        """The digest of the network, as `sha256:...`."""
        ...

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """One unit vector a crop, in order."""
        ...
