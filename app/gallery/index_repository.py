"""The changes that an index outside of this process follows, and the rows by which its results are checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager

from app.domain.arrays import Floats
from app.domain.ports import VectorIndex
from app.gallery import queries
from app.gallery.face_repository import FaceRepository
from app.gallery.records import DamagedValue, GalleryInfo, StoredVector


class IndexRepository(FaceRepository):
    def indexed_galleries(self) -> list[GalleryInfo]:
        with self._reading() as transaction:
            return [
                queries.gallery_info(row) for row in transaction.db.execute(f"{queries.INDEXED_GALLERY} ORDER BY id")
            ]

    def indexed_gallery(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery with its counts, which take no time. Raises NotFound."""
        with self._reading() as transaction:
            return transaction.find_gallery(queries.INDEXED_GALLERY, gallery_id)

    def index_form(self, gallery: GalleryInfo) -> str:
        """Return what the vectors of an index depend on besides the rows: model, transform and threshold offsets."""
        parts = [
            (gallery.model or "").encode(),
            gallery.sealed_seed or b"",
            self._codec.offsets_digest(gallery).encode(),
        ]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    def index_lock(self, gallery: GalleryInfo) -> AbstractContextManager[None]:
        """Keep others from changing the index of the gallery. Raises Overloaded if that takes too long."""
        return self._database.index_lock(gallery.number)

    def vector_table(self, *, hnsw: bool) -> VectorIndex | None:
        """Return the index of vectors in the database itself, or None if it can have none. Raises StartError."""
        return self._database.vector_table(hnsw=hnsw)

    def faces_as_of(self, known: GalleryInfo, face_ids: Sequence[str]) -> list[StoredVector] | None:
        """
        Return those of the faces that the gallery had at that revision, without damaged ones.

        Return None if something of the gallery was erased, moved or stored in another way since.
        """
        read: list[tuple[str, str, Floats]] = []
        marks = ",".join("?" * len(face_ids)) or "NULL"
        with self._reading() as transaction:
            if self._is_gone(transaction, known):
                return None
            rows = transaction.db.execute(
                f"{queries.FACE} WHERE gallery = ? AND revision <= ? AND id IN ({marks})",
                (known.number, known.revision, *face_ids),
            )
            for row in rows:
                try:
                    read.append((row["id"], row["subject"], self._codec.stored_vector(known, row)))
                except DamagedValue:  # logged when the index was made
                    continue
        return self._with_offsets(known, read)

    def installation(self) -> str:
        """Return a name of this database that no other has: the beginning of the hash of its first audit entry."""
        with self._reading() as transaction:
            row = transaction.db.execute("SELECT hash FROM audit WHERE seq = 1").fetchone()
            return str(row["hash"]).removeprefix("sha256:")[:16] if row else "new"
