"""The changes that an index outside of this process follows, and the rows by which its results are checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager

from app.domain.ports import VectorIndex
from app.gallery import queries
from app.gallery.face_repository import FaceRepository
from app.gallery.records import DamagedRow, GalleryChanges, GalleryInfo, StoredVector
from app.storage.database import Connection


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
        marks = ",".join("?" * len(face_ids)) or "NULL"
        with self._reading() as transaction:
            if self._is_gone(transaction, known):
                return None
            rows = transaction.db.execute(
                f"{queries.FACE} WHERE gallery = ? AND revision <= ? AND id IN ({marks})",
                (known.number, known.revision, *face_ids),
            )
            read = list(self._decoded(known, rows, []))  # damaged ones were logged when the index got the others
        return self._with_offsets(known, read)

    def next_changes(
        self, gallery_id: str, revision: int, removed_to: int, most: int
    ) -> tuple[GalleryInfo, GalleryChanges]:
        """
        Return the gallery, and the next changes for an index that has its faces up to that revision.

        They are all faces removed after `removed_to`, and about `most` of the faces added after `revision`: whole
        revisions, the last of which is that of the changes. Apply the removals first, since a face that is moved is
        removed and added.

        Raises NotFound, or StartError if a key is missing, so that no index lacks faces which are not damaged.
        """
        damaged: list[DamagedRow] = []
        with self._reading() as transaction:
            gallery = transaction.find_gallery(queries.INDEXED_GALLERY, gallery_id)
            last = _last_revision(transaction.db, gallery, revision, most)
            rows = transaction.db.execute(
                f"{queries.FACE} WHERE gallery = ? AND revision > ? AND revision <= ? ORDER BY revision",
                (gallery.number, revision, last),
            )
            read = list(self._decoded(gallery, rows, damaged))
            removed = transaction.db.execute(
                "SELECT face FROM removals WHERE gallery = ? AND revision > ?", (gallery.number, removed_to)
            ).fetchall()
        if damaged:
            self.require_all_keys()
        added = self._with_offsets(gallery, read)
        return gallery, GalleryChanges(last, added, [row["face"] for row in removed], damaged)

    def installation(self) -> str:
        """Return a name of this database that no other has: the beginning of the hash of its first audit entry."""
        with self._reading() as transaction:
            row = transaction.db.execute("SELECT hash FROM audit WHERE seq = 1").fetchone()
            return str(row["hash"]).removeprefix("sha256:")[:16] if row else "new"


def _last_revision(db: Connection, gallery: GalleryInfo, revision: int, most: int) -> int:
    """Return the revision of the last of the next `most` faces, or that of the gallery if there are fewer."""
    row = db.execute(
        "SELECT revision FROM faces WHERE gallery = ? AND revision > ? ORDER BY revision LIMIT 1 OFFSET ?",
        (gallery.number, revision, most - 1),
    ).fetchone()
    return int(row["revision"]) if row else gallery.revision
