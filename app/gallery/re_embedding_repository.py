"""
Fill a gallery's vectors of another model beside the present ones, and switch to them.

What is still to be done is read from the tables: each face with a crop and without a new vector. So a fill that was
interrupted goes on where it stopped, faces that are added meanwhile are found, and erased ones take their new vectors
with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.audit import log as audit
from app.domain.arrays import Floats
from app.domain.clock import now
from app.domain.errors import InvalidRequest
from app.domain.identity import SYSTEM, Actor
from app.gallery import queries, switching
from app.gallery.face_statements import damaged_of_face
from app.gallery.records import CropStatus, DamagedValue, GalleryInfo, KeptCrop
from app.gallery.transaction import GalleryTransaction
from app.gallery.transactional import Transactional
from app.storage.database import Row

LAST_CROPS = 16
"""Crops that are embedded within the transaction of the switch, which new faces could delay for ever otherwise."""

Embed = Callable[[Sequence[KeptCrop]], Sequence[Floats]]
"""Returns the unit vector of each crop."""


@dataclass(frozen=True, slots=True)
class Switched:
    """The gallery with the vectors of its new model, and how many faces were erased because they had no crop."""

    gallery: GalleryInfo
    erased: int


class ReEmbeddingRepository(Transactional):
    def crop_status(self, gallery_id: str) -> CropStatus:
        with self._reading() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            row = transaction.db.execute("SELECT count(*) FROM crops WHERE gallery = ?", (gallery.number,)).fetchone()
            return CropStatus(int(row[0]), switching.progress(transaction.db, gallery))

    def begin_re_embedding(self, gallery_id: str, model: str, dimension: int, by: Actor = SYSTEM) -> None:
        """Prepare the gallery for the vectors of a model; those of a third model that were made so far are deleted."""
        with self._replacing() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            if switching.model_of_new_vectors(transaction.db, gallery) == model:
                return
            transaction.db.execute("DELETE FROM re_embeddings WHERE gallery = ?", (gallery.number,))
            transaction.db.execute(
                "INSERT INTO re_embeddings (gallery, model, dimension, started_at) VALUES (?, ?, ?, ?)",
                (gallery.number, model, dimension, now()),
            )
            audit.append(transaction.db, by, "gallery.re_embed", gallery_id, model=model)

    def cancel_re_embedding(self, gallery_id: str, by: Actor = SYSTEM) -> bool:
        """Delete the new vectors that were made so far; return whether a re-embedding had begun."""
        with self._replacing() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            if not switching.model_of_new_vectors(transaction.db, gallery):
                return False
            transaction.db.execute("DELETE FROM re_embeddings WHERE gallery = ?", (gallery.number,))
            audit.append(transaction.db, by, "gallery.re_embed_cancel", gallery_id)
            return True

    def crops_to_embed(self, gallery_id: str, after: str, limit: int) -> list[KeptCrop]:
        """Return the crops of at most `limit` faces without a new vector, with ids behind `after`, in order of id."""
        with self._reading() as transaction:
            return _crops_to_embed(transaction, transaction.uncounted_gallery(gallery_id), after, limit)

    def add_new_vectors(
        self, gallery_id: str, model: str, crops: Sequence[KeptCrop], vectors: Sequence[Floats], by: Actor = SYSTEM
    ) -> int:
        """
        Store the new vectors of faces that are still as they were; return how many were added.

        Raises InvalidRequest if the re-embedding was ended meanwhile, or begun with another model.
        """
        with self._writing() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            _require_begun(transaction, gallery, model)
            return _add(transaction, gallery, crops, vectors, by)

    def faces_without_crop(self, gallery_id: str) -> dict[str, int]:
        """Return how many faces without a crop each subject has that has any."""
        with self._reading() as transaction:
            rows = transaction.db.execute(
                f"SELECT subject, count(*) AS faces FROM faces WHERE gallery = ? AND {switching.WITHOUT_CROP} "
                "GROUP BY subject ORDER BY subject",
                (transaction.gallery_number(gallery_id),),
            )
            return {row["subject"]: int(row["faces"]) for row in rows}

    def switch_model(
        self, gallery_id: str, model: str, embed: Embed, by: Actor = SYSTEM, *, drop_faces_without_crops: bool = False
    ) -> Switched | None:
        """
        Replace all vectors by the new ones in one transaction; the last few crops are embedded within it.

        Return None, with the vectors in use unchanged, if more crops are left, or a face that has none is not to be
        erased. Raises InvalidRequest as `add_new_vectors`.
        """
        with self._deleting() if drop_faces_without_crops else self._replacing() as transaction:
            gallery = transaction.gallery(gallery_id)
            _require_begun(transaction, gallery, model)
            if crops := _crops_to_embed(transaction, gallery, "", LAST_CROPS):
                _add(transaction, gallery, crops, embed(crops), by)
            if not switching.is_complete(transaction.db, gallery):
                return None
            erased = 0
            if drop_faces_without_crops:
                erased = switching.delete_faces_without_crop(transaction, gallery, by)
            elif _lacks_crops(transaction, gallery):
                return None
            switching.switch(transaction, gallery, model)
            details = {"model": model, "earlier_model": gallery.model, "faces": gallery.faces - erased}
            audit.append(transaction.db, by, "gallery.switch_model", gallery_id, **details)
            switched = Switched(transaction.gallery(gallery_id), erased)
        self.snapshots.destroy()
        return switched


def _require_begun(transaction: GalleryTransaction, gallery: GalleryInfo, model: str) -> None:
    """Raises InvalidRequest."""
    if switching.model_of_new_vectors(transaction.db, gallery) != model:
        raise InvalidRequest(f"the re-embedding of gallery {gallery.id!r} was ended by another process")


def _lacks_crops(transaction: GalleryTransaction, gallery: GalleryInfo) -> bool:
    query = f"SELECT 1 FROM faces WHERE gallery = ? AND {switching.WITHOUT_CROP} LIMIT 1"
    return transaction.db.execute(query, (gallery.number,)).fetchone() is not None


def _crops_to_embed(transaction: GalleryTransaction, gallery: GalleryInfo, after: str, limit: int) -> list[KeptCrop]:
    rows = transaction.db.execute(
        f"{queries.CROP} WHERE gallery = ? AND face > ? AND {switching.WITHOUT_NEW_VECTOR} ORDER BY face LIMIT ?",
        (gallery.number, after, limit),
    ).fetchall()
    return [_kept_crop(transaction, gallery, row) for row in rows]


def _kept_crop(transaction: GalleryTransaction, gallery: GalleryInfo, row: Row) -> KeptCrop:
    """Raises DamagedValue."""
    face = transaction.db.execute(
        "SELECT revision FROM faces WHERE gallery = ? AND id = ?", (gallery.number, row["face"])
    ).fetchone()
    try:
        return KeptCrop(row["face"], face["revision"], transaction.codec.crop(gallery, row))
    except DamagedValue as error:
        damaged = damaged_of_face("crop", gallery, row, error)
        raise DamagedValue(f"{damaged}; `likeness gallery repair` removes such crops") from error


def _add(
    transaction: GalleryTransaction,
    gallery: GalleryInfo,
    crops: Sequence[KeptCrop],
    vectors: Sequence[Floats],
    by: Actor,
) -> int:
    """Add the new vectors, except of faces that were erased or moved since their crop was read; return their number."""
    rows = []
    for crop, vector in zip(crops, vectors, strict=True):
        face = transaction.db.execute(
            "SELECT subject FROM faces WHERE gallery = ? AND id = ? AND revision = ?",
            (gallery.number, crop.face_id, crop.revision),
        ).fetchone()
        if face:
            cipher = transaction.keys.cipher(gallery.number, face["subject"])
            rows.append(transaction.codec.new_vector_row(gallery, face["subject"], crop.face_id, vector, cipher))
    insert = "INSERT INTO new_vectors (gallery, subject, face, new_vector) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    added = max(0, transaction.db.executemany(insert, rows).rowcount) if rows else 0
    transaction.db.forget_values(insert)
    audit.append(transaction.db, by, "gallery.re_embed", gallery.id, faces=added)
    return added
