"""
The galleries as stored in one SQLite file, or in PostgreSQL. Every change is one transaction that raises the revision
of the gallery and appends to the audit log; the search index (search.py) is a copy of what is stored here.

CompreFace needs PostgreSQL and reloads all embeddings on a change, DeepFace pickles a folder, and in both a deleted
face may come back. Here what is committed is on disk, and what is deleted is overwritten (see app/storage/sqlite.py),
or in PostgreSQL its key is (see app/storage/postgresql/data_keys.py).
"""

from __future__ import annotations

from app.audit import log as audit
from app.domain.identity import SYSTEM, Actor
from app.gallery.collection_repository import CollectionRepository
from app.gallery.import_repository import ImportRepository
from app.gallery.index_repository import IndexRepository
from app.gallery.maintenance_repository import MaintenanceRepository
from app.gallery.move_repository import MoveRepository
from app.gallery.re_embedding_repository import ReEmbeddingRepository
from app.gallery.records import GalleryInfo
from app.gallery.subject_repository import SubjectRepository
from app.storage.database import AttemptTable


class GalleryRepository(
    SubjectRepository,
    IndexRepository,
    CollectionRepository,
    MoveRepository,
    ImportRepository,
    MaintenanceRepository,
    ReEmbeddingRepository,
):
    """Thread-safe; several processes may share the file. `by` is the actor that the audit log names."""

    def data_version(self) -> int:
        """A number that changes when another process, or another connection of this one, changes anything."""
        return self._database.data_version()

    def attempts(self, kind: str, limit: int, window: float) -> AttemptTable | None:
        """Return the table in which all replicas count attempts; None if each process counts its own."""
        return self._database.attempts(kind, limit, window)

    def seconds_behind(self) -> float:
        """Return for how many seconds `data_version` may have missed a change."""
        return self._database.seconds_behind()

    def galleries(self) -> list[GalleryInfo]:
        with self._reading() as transaction:
            return transaction.galleries()

    def gallery(self, gallery_id: str) -> GalleryInfo:
        with self._reading() as transaction:
            return transaction.gallery(gallery_id)

    def create_gallery(self, gallery_id: str, by: Actor = SYSTEM) -> tuple[GalleryInfo, bool]:
        """Return the gallery, and whether it is new."""
        with self._writing() as transaction:
            is_new = transaction.create_gallery_if_missing(gallery_id, by)
            return transaction.gallery(gallery_id), is_new

    def delete_gallery(self, gallery_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            for subject_id in transaction.delete_subjects(gallery):
                audit.append(transaction.db, by, "subject.delete", gallery_id, subject=subject_id)
            transaction.db.execute("DELETE FROM galleries WHERE number = ?", (gallery.number,))
            audit.append(
                transaction.db, by, "gallery.delete", gallery_id, subjects=gallery.subjects, faces=gallery.faces
            )
