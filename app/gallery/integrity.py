"""Find the rows that cannot be read any more, and remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from app.audit import log as audit
from app.domain.errors import ServiceError
from app.domain.identity import Actor
from app.gallery import queries
from app.gallery.face_statements import damaged_face, damaged_of_face
from app.gallery.records import DamagedRow, DamagedValue, GalleryInfo
from app.gallery.switching import new_dimension
from app.gallery.transaction import GalleryTransaction
from app.storage.database import Connection


def check_file(db: Connection) -> list[DamagedRow]:
    """Return what the database's own check finds."""
    return [DamagedRow("file", problem) for problem in db.integrity_problems()]


def damaged_rows(transaction: GalleryTransaction, gallery_id: str | None = None) -> list[DamagedRow]:
    """Return every row of the gallery (of all galleries) that cannot be read. Raises StartError if a key is missing."""
    galleries = transaction.galleries() if gallery_id is None else [transaction.gallery(gallery_id)]
    found = [row for gallery in galleries for row in _damaged_in_gallery(transaction, gallery)]
    if found:
        transaction.codec.keys.require_master_keys(transaction.db)
    return found


def _damaged_in_gallery(transaction: GalleryTransaction, gallery: GalleryInfo) -> Iterator[DamagedRow]:
    without_key = list(_subjects_without_key(transaction, gallery))
    yield from without_key
    unreadable = {row.subject_id for row in without_key}
    yield from (row for row in _damaged_values(transaction, gallery) if row.subject_id not in unreadable)


def _subjects_without_key(transaction: GalleryTransaction, gallery: GalleryInfo) -> Iterator[DamagedRow]:
    statement = "SELECT id, key_slot FROM subjects WHERE gallery = ? ORDER BY id"
    for row in transaction.db.execute(statement, (gallery.number,)):
        if error := _error(transaction.codec.subject_cipher, gallery.number, row["id"], row["key_slot"]):
            yield DamagedRow("subject", str(error), gallery.id, row["id"])


def _damaged_values(transaction: GalleryTransaction, gallery: GalleryInfo) -> Iterator[DamagedRow]:
    db, row_codec, where = transaction.db, transaction.codec, (gallery.number,)
    for row in db.execute(f"{queries.FACE} WHERE gallery = ? ORDER BY subject, rowid", where):
        if error := _error(row_codec.template, gallery, row):
            yield damaged_face(gallery, row, error)
    yield from _damaged_for_another_model(transaction, gallery)
    for row in db.execute(f"{queries.METADATA} WHERE gallery = ? ORDER BY id", where):
        if error := _error(row_codec.metadata, gallery.number, row):
            yield DamagedRow("metadata", str(error), gallery.id, row["id"])
        if error := _error(row_codec.consent, gallery.number, row):
            yield DamagedRow("consent", str(error), gallery.id, row["id"])
    for row in db.execute(f"{queries.RESPONSE} WHERE gallery = ?", where):
        if error := _error(row_codec.response, gallery.number, row):
            yield DamagedRow("idempotency_key", str(error), gallery.id, row["subject"], idempotency_key=row["key"])


def _damaged_for_another_model(transaction: GalleryTransaction, gallery: GalleryInfo) -> Iterator[DamagedRow]:
    db, row_codec, where = transaction.db, transaction.codec, (gallery.number,)
    for row in db.execute(f"{queries.CROP} WHERE gallery = ? ORDER BY subject, face", where):
        if error := _error(row_codec.crop, gallery, row):
            yield damaged_of_face("crop", gallery, row, error)
    dimension = new_dimension(db, gallery)
    for row in db.execute(f"{queries.NEW_VECTOR} WHERE gallery = ? ORDER BY subject, face", where):
        if error := _error(row_codec.new_vector, gallery, row, dimension):
            yield damaged_of_face("new_vector", gallery, row, error)


def _error(read: Callable[..., object], *arguments: object) -> DamagedValue | None:
    try:
        read(*arguments)
    except DamagedValue as error:
        return error
    return None


def repair(transaction: GalleryTransaction, rows: Sequence[DamagedRow], by: Actor) -> list[DamagedRow]:
    """
    Remove the damaged faces, crops, saved responses and subjects, and empty damaged metadata and consent; return what
    was removed.

    A row that is not damaged (any more) is left alone. Raises ServiceError if the file itself is damaged.
    """
    if any(row.kind == "file" for row in rows):
        raise ServiceError("the database file itself is damaged, and removing rows cannot repair it: restore a backup")
    wanted = set(rows)
    repaired = [row for row in damaged_rows(transaction) if row in wanted]
    for row in repaired:
        _repair_row(transaction, transaction.uncounted_gallery(row.gallery_id), row, by)
    return repaired


def _drop_of_face(transaction: GalleryTransaction, gallery: GalleryInfo, row: DamagedRow) -> None:
    table = {"crop": "crops", "new_vector": "new_vectors"}[row.kind]
    transaction.db.execute(f"DELETE FROM {table} WHERE gallery = ? AND face = ?", (gallery.number, row.face_id))
    transaction.renew_key(gallery, row.subject_id)


def _repair_row(transaction: GalleryTransaction, gallery: GalleryInfo, row: DamagedRow, by: Actor) -> None:
    if row.kind == "subject":
        transaction.log_removals(gallery, "subject = ?", row.subject_id)
        transaction.delete_subjects(gallery, "id = ?", row.subject_id)
    elif row.kind == "face":
        transaction.log_removals(gallery, "id = ?", row.face_id)
        transaction.db.execute("DELETE FROM faces WHERE gallery = ? AND id = ?", (gallery.number, row.face_id))
        transaction.delete_saved_responses(gallery, row.subject_id)
        transaction.renew_key(gallery, row.subject_id)
        audit.append(transaction.db, by, "face.repair", gallery.id, subject=row.subject_id, face=row.face_id)
        return
    elif row.kind in ("crop", "new_vector"):
        _drop_of_face(transaction, gallery, row)
    elif row.kind in ("metadata", "consent"):
        transaction.renew_key(gallery, row.subject_id)
        if row.kind == "metadata":
            transaction.set_metadata(gallery, row.subject_id, {})
        else:
            transaction.set_consent(gallery, row.subject_id, "")
        transaction.raise_revision(gallery)
    else:
        transaction.db.execute(
            "DELETE FROM idempotency_keys WHERE gallery = ? AND subject = ? AND key = ?",
            (gallery.number, row.subject_id, row.idempotency_key),
        )
    audit.append(transaction.db, by, "subject.repair", gallery.id, subject=row.subject_id, removed=row.kind)
