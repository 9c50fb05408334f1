"""
Rewrite stored values with another key or another transform. Nothing else changes a stored value without new content.

A value that cannot be read stays as it is, and is found by `likeness gallery check` as before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from app.domain.arrays import Floats
from app.gallery.codec import RowCodec
from app.gallery.face_json import stored_vector_problem
from app.gallery.records import DamagedValue, GalleryInfo
from app.gallery.sealed_values import aad
from app.gallery.template_transform import TemplateTransform
from app.storage.cipher import Cipher, DecryptionError
from app.storage.database import Connection, Row

Turn: TypeAlias = Callable[[Floats], Floats]
_PRIVATE_COLUMNS = {
    "subjects": (("gallery", "id"), ("metadata", "consent")),
    "faces": (("gallery", "subject", "id"), ("vector", "detection")),
    "crops": (("gallery", "subject", "face"), ("crop",)),
    "new_vectors": (("gallery", "subject", "face"), ("new_vector",)),
    "idempotency_keys": (("gallery", "subject", "key"), ("response",)),
}
"""The columns that identify a row, of which the first two are its subject's, and those encrypted unless null."""
_FACE_TABLES = ("faces", "crops", "new_vectors")
"""The tables that have rows of a face, whose id is the third column that identifies a row."""


@dataclass(frozen=True, slots=True)
class Resealing:
    """
    A change of the values of a subject: decrypt, turn each vector if `turn` is given, and encrypt.

    With `subject` they belong to the subject of that id afterwards.
    """

    before: Cipher
    after: Cipher
    turn: Turn | None = None
    subject: str | None = None


def reseal_subject(
    db: Connection,
    gallery: GalleryInfo,
    subject_id: str,
    change: Resealing,
    tables: Iterable[str] = _PRIVATE_COLUMNS,
) -> None:
    for table in tables:
        ids, _ = _PRIVATE_COLUMNS[table]
        for row in _private_rows(db, table, gallery, subject_id):
            _rewrite(db, table, row, [row[name] for name in ids], gallery, change)


def copy_subject(
    db: Connection, gallery: GalleryInfo, subject_id: str, new_id: str, slot: int | None, change: Resealing
) -> None:
    """Add a subject `new_id` that has all of another but its faces and saved responses; its key is in the slot."""
    (row,) = _private_rows(db, "subjects", gallery, subject_id)
    ids, columns = _PRIVATE_COLUMNS["subjects"]
    values = [_resealed(row[column], column, [row[name] for name in ids], gallery, change) for column in columns]
    times = db.execute(
        "SELECT created_at, expires_at FROM subjects WHERE gallery = ? AND id = ?", (gallery.number, subject_id)
    ).fetchone()
    names = ("gallery", "id", "key_slot", *columns, "created_at", "expires_at")
    db.execute(
        f"INSERT INTO subjects ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        (gallery.number, new_id, slot, *values, times["created_at"], times["expires_at"]),
    )


def move_faces(
    db: Connection, gallery: GalleryInfo, subject_id: str, face_ids: Collection[str], revision: int, change: Resealing
) -> None:
    """Give faces of a subject to the subject of the change, at a new revision."""
    for table in _FACE_TABLES:
        ids, columns = _PRIVATE_COLUMNS[table]
        assignments = ", ".join(f"{column} = ?" for column in ("subject", *columns))
        update = f"UPDATE {table} SET {assignments} WHERE gallery = ? AND {ids[2]} = ?"
        for row in _private_rows(db, table, gallery, subject_id):
            if row[ids[2]] in face_ids:
                row_ids = [row[name] for name in ids]
                values = [_resealed(row[column], column, row_ids, gallery, change) for column in columns]
                db.execute(update, (change.subject, *values, gallery.number, row[ids[2]]))
        db.forget_values(update)
    db.executemany(
        "UPDATE faces SET revision = ? WHERE gallery = ? AND id = ?",
        [(revision, gallery.number, face_id) for face_id in face_ids],
    )


def _private_rows(db: Connection, table: str, gallery: GalleryInfo, subject_id: str) -> list[Row]:
    ids, columns = _PRIVATE_COLUMNS[table]
    values = [f"CAST({column} AS BLOB) AS {column}" for column in columns]
    return db.execute(
        f"SELECT {', '.join([*ids, *values])} FROM {table} WHERE {ids[0]} = ? AND {ids[1]} = ?",
        (gallery.number, subject_id),
    ).fetchall()


def _rewrite(
    db: Connection, table: str, row: Row, row_ids: list[object], gallery: GalleryInfo, change: Resealing
) -> None:
    """Write the private values of one row again: the only statement that changes stored bytes without new content."""
    ids, columns = _PRIVATE_COLUMNS[table]
    assignments = ", ".join(f"{column} = ?" for column in columns)
    conditions = " AND ".join(f"{name} = ?" for name in ids)
    values = [_resealed(row[column], column, row_ids, gallery, change) for column in columns]
    db.execute(f"UPDATE {table} SET {assignments} WHERE {conditions}", (*values, *row_ids))


def _resealed(
    stored: bytes | None, column: str, row_ids: list[object], gallery: GalleryInfo, change: Resealing
) -> bytes | None:
    if stored is None:
        return None
    value_aad = aad(column, *row_ids)
    try:
        value = change.before.decrypt(stored, value_aad)
    except DecryptionError:
        return stored
    if column == "vector" and change.turn and not stored_vector_problem(value, gallery.dimension):
        value = np.ascontiguousarray(change.turn(np.frombuffer(value, np.float32)), np.float32).tobytes()
    ids_after = row_ids if change.subject is None else [row_ids[0], change.subject, *row_ids[2:]]
    return change.after.encrypt(value, aad(column, *ids_after))


def encrypt_gallery(db: Connection, row_codec: RowCodec, gallery: GalleryInfo, before: Cipher) -> None:
    """
    Give each subject of a gallery a data key, and the gallery a transform; `before` opens what is stored now.

    The keys are durable when this returns, before the commit.
    """
    seed = row_codec.new_seed(gallery.number)
    transform = _transform(row_codec, gallery, seed)
    for subject_id in _subject_ids(db, gallery):
        slot, after = row_codec.keys.create(db, gallery.number, subject_id)
        reseal_subject(db, gallery, subject_id, Resealing(before, after, transform.to_stored))
        db.execute("UPDATE subjects SET key_slot = ? WHERE gallery = ? AND id = ?", (slot, gallery.number, subject_id))
    db.execute("UPDATE galleries SET sealed_seed = ? WHERE number = ?", (seed, gallery.number))
    row_codec.keys.file.sync()


def rekey_gallery(
    db: Connection, row_codec: RowCodec, gallery: GalleryInfo, on_progress: Callable[[int], None]
) -> None:
    """Give the gallery another transform, and tell `on_progress` how many subjects were done."""
    seed = row_codec.new_seed(gallery.number)
    old, new = row_codec.transform(gallery), _transform(row_codec, gallery, seed)
    for done, subject_id in enumerate(_subject_ids(db, gallery), start=1):
        slot = db.execute(
            "SELECT key_slot FROM subjects WHERE gallery = ? AND id = ?", (gallery.number, subject_id)
        ).fetchone()["key_slot"]
        try:
            cipher = row_codec.subject_cipher(gallery.number, subject_id, slot)
        except DamagedValue:
            continue
        change = Resealing(cipher, cipher, lambda vector: new.to_stored(old.to_model(vector)))
        reseal_subject(db, gallery, subject_id, change, ["faces"])
        on_progress(done)
    db.execute("UPDATE galleries SET sealed_seed = ? WHERE number = ?", (seed, gallery.number))


def _transform(row_codec: RowCodec, gallery: GalleryInfo, seed: bytes | None) -> TemplateTransform:
    return row_codec.transform(replace(gallery, sealed_seed=seed))


def _subject_ids(db: Connection, gallery: GalleryInfo) -> list[str]:
    rows = db.execute("SELECT id FROM subjects WHERE gallery = ? ORDER BY id", (gallery.number,))
    return [row["id"] for row in rows]
