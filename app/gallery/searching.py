"""The search of galleries as the services use it: GallerySearch in this process, ExternalSearch outside of it."""

from __future__ import annotations

from typing import Protocol

from app.domain.embeddings import Embedding
from app.gallery.ranking import Hit
from app.gallery.records import GalleryInfo


class Search(Protocol):
    """Thread-safe."""

    def load_indexes(self) -> None: ...

    def build_graphs(self) -> None: ...

    def save_snapshots(self) -> None: ...

    def update_index(self, gallery_id: str) -> None:
        """Remove from the index of the gallery what was erased."""
        ...

    def update_indexes(self) -> None:
        """Do so for all galleries if another process has changed anything; otherwise cheap."""
        ...

    def pending(self) -> int:
        """Return the number of indexes that may still have something that was erased, since they cannot be reached."""
        ...

    def search(
        self, gallery_id: str, probe: Embedding, subjects: int, threshold: float, *, plain: bool = False
    ) -> tuple[GalleryInfo, list[Hit]]:
        """Return the gallery as searched, and the nearest face of each of the nearest subjects that match."""
        ...

    def info(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery at its present revision. Raises NotFound."""
        ...
