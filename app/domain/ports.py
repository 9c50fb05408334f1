"""Interfaces that the services depend on; each has a real implementation, and a fake in tests/support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.domain.arrays import Floats, Pixels
from app.domain.embeddings import Embedding
from app.domain.faces import AlignedCrop, Face, Liveness


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

    @property
    def digest(self) -> str:
        """The digest of what computes the offsets; empty if all are 0."""
        ...

    def of(self, vectors: Floats) -> Floats:
        """Return the threshold offset (N,) of each unit vector (N, D)."""
        ...


class NoThresholdOffsets:
    """The offsets of a model that has none."""

    model = None
    digest = ""

    def of(self, vectors: Floats) -> Floats:
        return np.zeros(len(vectors), np.float32)


@dataclass(frozen=True, slots=True)
class IndexState:
    """
    The revision of a gallery that an index has, and `form`: what its vectors depend on besides the rows.

    `head` is the number and the hash of an audit entry that the database must have gone on from. An index that is not
    complete has the faces up to that revision, and lacks later ones: its filling goes on, or was interrupted.
    """

    revision: int
    form: str
    head: str
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Nearest:
    """Face ids with the largest products, and a bound: the product of any other is at most that."""

    face_ids: Sequence[str]
    bound: float


class VectorIndex(Protocol):
    """
    An index outside of this process, which several processes may share; it may know faces that are gone.

    Galleries are told apart by their numbers. Whoever changes one holds its lock (Database.index_lock). Any method
    raises SearchUnavailable.
    """

    @property
    def largest_count(self) -> int:
        """The most faces that `nearest` can return."""
        ...

    def numbers(self) -> set[int]:
        """Return the numbers of the galleries that have something in the index."""
        ...

    def state(self, gallery: int) -> IndexState | None:
        """Return what the complete index of a gallery has, or None if there is none."""
        ...

    def unfinished(self, gallery: int, form: str) -> IndexState | None:
        """Return what an index in that form has which is not complete, and go on with it; None if there is none."""
        ...

    def begin(self, gallery: int, dimension: int) -> None:
        """Put an empty index of vectors (dimension,) in place of what there is; searches use it once it is complete."""
        ...

    def remove(self, gallery: int, face_ids: Sequence[str]) -> None:
        """Remove faces; unknown ids are ignored."""
        ...

    def add(self, gallery: int, face_ids: Sequence[str], vectors: Floats) -> None:
        """Add faces with vectors (N, dimension), or replace those of these ids."""
        ...

    def set_state(self, gallery: int, state: IndexState) -> None:
        """Store what the index has by now; a complete one takes the place of any other of the gallery."""
        ...

    def drop(self, gallery: int) -> None: ...

    def nearest(self, gallery: int, query: Floats, count: int, *, exact: bool) -> Nearest:
        """Return the `count` faces with the largest products with the query (dimension,)."""
        ...

    def build_graphs(self) -> None:
        """Build what an approximate search needs and lacks."""
        ...

    def close(self) -> None: ...
