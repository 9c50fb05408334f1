"""The enrolled faces of the galleries, and what an index of them follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from app.audit import log as audit
from app.domain.arrays import Floats
from app.domain.embeddings import Template
from app.domain.errors import NotFound
from app.domain.identity import SYSTEM, Actor
from app.gallery import queries
from app.gallery.face_statements import damaged_face
from app.gallery.records import DamagedRow, DamagedValue, GalleryChanges, GalleryInfo, IdempotencyRecord, StoredVector
from app.gallery.template_transform import TemplateTransform
from app.gallery.transaction import GalleryTransaction
from app.gallery.transactional import Transactional
from app.storage.database import Connection, Row

ReadVector: TypeAlias = tuple[str, str, Floats]

_BLOCK = 4096
_ROWS_OF_A_BLOCK = 2**15
_AFTER_ALL = 2**62  # a row id beyond those of the revision


class FaceRepository(Transactional):
    def enroll(
        self,
        gallery_id: str,
        subject_id: str,
        templates: Sequence[Template],
        idempotency: IdempotencyRecord | None = None,
        by: Actor = SYSTEM,
        identified: Sequence[str] = (),
    ) -> Mapping[str, Any] | None:
        """
        Add templates to a subject, creating it and its gallery as needed, all or nothing.

        `identified` are other subjects whom the answer names: the audit log gets their entries in the same transaction.
        Return None, or the response saved earlier under the same key, in which case nothing was added.
        Raises ModelMismatch, or InvalidRequest if the key was used for another request or a face id is taken.
        """
        with self._writing() as transaction:
            transaction.create_gallery_if_missing(gallery_id, by)
            gallery = transaction.uncounted_gallery(gallery_id)
            if idempotency:
                key, digest = idempotency.key, idempotency.request_digest
                if saved := transaction.saved_response(gallery.number, subject_id, key, digest):
                    return saved
            transaction.create_subject_if_missing(gallery, subject_id)
            for template in templates:
                gallery = transaction.bind_to_model(gallery, template.embedding)
            transaction.add_faces(gallery, templates)
            for template in templates:
                audit.append(transaction.db, by, "face.enroll", gallery_id, subject=subject_id, face=template.face_id)
            for other in identified:
                audit.append(transaction.db, by, "subject.identify", gallery_id, subject=other)
            if idempotency:
                transaction.save_response(gallery, subject_id, idempotency)
            return None

    def saved_response(
        self, gallery_id: str, subject_id: str, key: str, request_digest: str
    ) -> Mapping[str, Any] | None:
        """Return the response saved under an Idempotency-Key. Raises InvalidRequest if it answered another request."""
        with self._reading() as transaction:
            try:
                number = transaction.gallery_number(gallery_id)
            except NotFound:
                return None
            return transaction.saved_response(number, subject_id, key, request_digest)

    def faces(self, gallery_id: str, subject_id: str, *, crops: bool = False) -> list[Template]:
        """Return a subject's templates, oldest first, with `crops` if asked; what is damaged is logged and left out."""
        with self._reading() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            return transaction.faces(gallery, subject_id, crops=crops)

    def delete_face(self, gallery_id: str, subject_id: str, face_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            if not transaction.log_removals(gallery, "subject = ? AND id = ?", subject_id, face_id):
                raise NotFound(f"subject {subject_id!r} has no face {face_id!r}")
            transaction.db.execute("DELETE FROM faces WHERE gallery = ? AND id = ?", (gallery.number, face_id))
            transaction.delete_saved_responses(gallery, subject_id)
            transaction.renew_key(gallery, subject_id)
            audit.append(transaction.db, by, "face.delete", gallery_id, subject=subject_id, face=face_id)

    def is_unchanged(self, known: GalleryInfo) -> bool:
        """Return whether the gallery is there and as it was."""
        with self._reading() as transaction:
            return transaction.is_unchanged(known)

    def removed_since(self, known: GalleryInfo) -> bool:
        """Return whether something of the gallery was erased or stored in another way since it was as known."""
        with self._reading() as transaction:
            return self._is_gone(transaction, known)

    def _is_gone(self, transaction: GalleryTransaction, known: GalleryInfo) -> bool:
        try:
            gallery = transaction.uncounted_gallery(known.id)
        except NotFound:
            return True
        newer = "SELECT 1 FROM removals WHERE gallery = ? AND revision > ? LIMIT 1"
        removed = transaction.db.execute(newer, (known.number, known.revision)).fetchone()
        return removed is not None or not gallery.stores_vectors_as(known) or gallery.revision < known.revision

    def changes_since(
        self,
        gallery_id: str,
        known: GalleryInfo | None,
        *,
        recount: bool = True,
        on_block: Callable[[Sequence[StoredVector]], None] | None = None,
    ) -> tuple[GalleryInfo, GalleryChanges]:
        """
        Return the gallery, and what an index of it as `known` lacks: everything if its vectors are stored in another
        way by now. The vectors are those that are stored: `transform` gives the model's own. Without `recount`, the
        counts of a gallery that stores its vectors as it did are 0. If everything is lacking, `on_block` gets the faces
        but for the last ones, so that a large gallery is not in memory twice.

        Raises StartError if a key is missing, so that no index lacks faces which are not damaged.
        """
        read: list[ReadVector] = []
        damaged: list[DamagedRow] = []
        with self._reading() as transaction:
            if known and transaction.is_unchanged(known):
                return known, GalleryChanges(known.revision, [], [], [])
            gallery = transaction.uncounted_gallery(gallery_id)
            if recount or not (known and gallery.stores_vectors_as(known)):
                gallery = transaction.gallery(gallery_id)
            since = known.revision if known and gallery.stores_vectors_as(known) else 0
            for vector in self._decoded(gallery, _rows_since(transaction.db, gallery, since), damaged):
                read.append(vector)
                if on_block and not since and len(read) == _ROWS_OF_A_BLOCK:
                    on_block(self._with_offsets(gallery, read))
                    read = []
            removed = transaction.db.execute(
                "SELECT face FROM removals WHERE gallery = ? AND revision > ? AND ? > 0", (gallery.number, since, since)
            ).fetchall()
        if damaged:
            self.require_all_keys()
        added = self._with_offsets(gallery, read)
        return gallery, GalleryChanges(gallery.revision, added, [row["face"] for row in removed], damaged)

    def _decoded(self, gallery: GalleryInfo, rows: Iterable[Row], damaged: list[DamagedRow]) -> Iterator[ReadVector]:
        """
        Yield the face, the subject and the vector of each row, and add the others to `damaged`.

        The transaction that reads them must be open, because later the keys that they need may be destroyed.
        """
        for row in rows:
            try:
                yield row["id"], row["subject"], self._codec.stored_vector(gallery, row)
            except DamagedValue as error:
                damaged.append(damaged_face(gallery, row, error))

    def _with_offsets(self, gallery: GalleryInfo, read: Sequence[ReadVector]) -> list[StoredVector]:
        offsets = self.threshold_offsets(gallery, [vector for *_, vector in read])
        return [StoredVector(*face, offset) for face, offset in zip(read, offsets, strict=True)]

    def threshold_offsets(self, gallery: GalleryInfo, stored: Sequence[Floats]) -> list[float]:
        """Return the threshold offsets of stored vectors."""
        transform, offsets = self._codec.transform(gallery), list[float]()
        for start in range(0, len(stored), _BLOCK):  # a product for many vectors is much faster than one for each
            block = transform.to_model(np.stack(stored[start : start + _BLOCK]))
            offsets += self._codec.offsets(gallery, list(block))
        return offsets

    def transform(self, gallery: GalleryInfo) -> TemplateTransform:
        """Return what turns the model's own vectors into those that the gallery stores and searches, and back."""
        return self._codec.transform(gallery)


def _rows_since(db: Connection, gallery: GalleryInfo, revision: int) -> Iterator[Row]:
    """Yield the faces that are newer, oldest first. psycopg has a whole result in memory, so that there are several."""
    rowid = _AFTER_ALL
    while True:
        rows = db.execute(
            f"{queries.FACE} WHERE gallery = ? AND (revision, rowid) > (?, ?) "
            f"ORDER BY revision, rowid LIMIT {_ROWS_OF_A_BLOCK}",
            (gallery.number, revision, rowid),
        ).fetchall()
        yield from rows
        if len(rows) < _ROWS_OF_A_BLOCK:
            return
        revision, rowid = rows[-1]["revision"], rows[-1]["rowid"]
