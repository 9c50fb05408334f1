"""Maintain the database as a whole: erasure, expiry, integrity, transforms, audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.audit import log as audit
from app.domain.errors import InvalidRequest, Overloaded, ServiceError
from app.domain.identity import SYSTEM, Actor
from app.gallery import integrity, resealing, retention
from app.gallery.records import DamagedRow, GalleryInfo
from app.gallery.transactional import Transactional


class MaintenanceRepository(Transactional):
    def pending_erasures(self) -> int:
        """Return the number of deletions of which a file still has old pages, because a reader needs them."""
        return self._database.pending_erasures()

    def settle_erasures(self) -> int:
        """Finish the pending erasures if no reader prevents it; return how many remain."""
        return self._database.settle_erasures()

    def settle_after_crash(self) -> None:
        """Finish what an earlier process may have left unfinished."""
        self._database.settle_after_crash()

    def expire(self, before: str, by: Actor) -> list[retention.Expired]:
        """Erase faces enrolled before that time, and subjects as old that have no face."""
        with self._reading() as transaction:
            if not retention.has_expired(transaction.db, before):
                return []
        with self._deleting() as transaction:
            return retention.expire(transaction, before, by)

    def expire_subjects(self, at: str, by: Actor) -> list[retention.Expired]:
        """Erase the subjects that expire at that time or before."""
        with self._reading() as transaction:
            if not retention.has_expired_subjects(transaction.db, at):
                return []
        with self._deleting() as transaction:
            return retention.expire_subjects(transaction, at, by)

    def check_integrity(self) -> list[DamagedRow]:
        """Return what SQLite's own check finds, or else every row that cannot be read."""
        try:
            with self._reading() as transaction:
                return integrity.check_file(transaction.db) or integrity.damaged_rows(transaction)
        except Overloaded:
            raise
        except ServiceError as error:  # too damaged to be read at all
            return [DamagedRow("file", str(error))]

    def damaged_rows(self, gallery_id: str | None = None) -> list[DamagedRow]:
        """Return every row of the gallery (of all galleries) that cannot be read."""
        with self._reading() as transaction:
            return integrity.damaged_rows(transaction, gallery_id)

    def repair(self, rows: Sequence[DamagedRow], by: Actor = SYSTEM) -> list[DamagedRow]:
        """Remove damaged rows as `integrity.repair`, so that no copy of them is left; return what was removed."""
        with self._deleting() as transaction:
            return integrity.repair(transaction, rows, by)

    def rekey_gallery(
        self, gallery_id: str, by: Actor = SYSTEM, on_progress: Callable[[int], None] = lambda _: None
    ) -> GalleryInfo:
        """
        Give the gallery another secret transform in one transaction; `on_progress` gets the number of subjects done.

        Raises InvalidRequest if the gallery is not encrypted.
        """
        with self._replacing() as transaction:
            gallery = transaction.gallery(gallery_id)
            if gallery.sealed_seed is None:
                raise InvalidRequest("only an encrypted gallery has a secret transform: set an encryption key first")
            resealing.rekey_gallery(transaction.db, self._codec, gallery, on_progress)
            transaction.raise_revision(gallery)
            audit.append(transaction.db, by, "gallery.rekey", gallery_id, faces=gallery.faces)
            rekeyed = transaction.gallery(gallery_id)
        self.snapshots.destroy()
        return rekeyed

    def vacuum(self) -> None:
        """Write the file anew, without the pages that deleted rows left empty."""
        self._database.vacuum()

    def audit_head(self) -> audit.Head:
        with self._reading() as transaction:
            return audit.head_of(transaction.db)

    def audit_entries(
        self, limit: int, before: int | None = None, gallery_id: str | None = None, subject_id: str | None = None
    ) -> list[Mapping[str, Any]]:
        """Return at most `limit` entries of the audit log, newest first, from before the entry `before` on."""
        with self._reading() as transaction:
            return audit.newest_of(transaction.db, limit, before, gallery_id, subject_id)

    def has_audit_entry(self, head: audit.Head) -> bool:
        """Return whether the database has gone on from that entry; one restored from an earlier backup has not."""
        with self._reading() as transaction:
            row = transaction.db.execute("SELECT hash FROM audit WHERE seq = ?", (head.seq,)).fetchone()
            return row is not None and row["hash"] == head.hash

    def audit_event(self, by: Actor, action: str, gallery_id: str, subject_id: str = "", **details: Any) -> None:
        """Append to the audit log an event that changes no row."""
        with self._database.writing() as db:
            audit.append(db, by, action, gallery_id, subject=subject_id, **details)

    def audit_events(self, by: Actor, action: str, gallery_id: str, subject_ids: Sequence[str]) -> None:
        """Append such an event for each of the subjects, in one transaction."""
        with self._database.writing() as db:
            for subject_id in subject_ids:
                audit.append(db, by, action, gallery_id, subject=subject_id)
