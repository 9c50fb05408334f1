"""
Give the faces of a gallery the vectors of another model, within one transaction.

Until then the new vectors wait in the table `new_vectors`, as the model made them, each encrypted with the data key of
its subject. So neither another transform of the gallery nor another master key concerns them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.audit import log as audit
from app.domain.identity import Actor
from app.gallery import queries
from app.gallery.records import GalleryInfo, ReEmbeddingProgress
from app.gallery.transaction import GalleryTransaction
from app.storage.database import Connection, Row

WITHOUT_CROP = "NOT EXISTS (SELECT 1 FROM crops WHERE crops.gallery = faces.gallery AND crops.face = faces.id)"
WITHOUT_NEW_VECTOR = """NOT EXISTS (
    SELECT 1 FROM new_vectors WHERE new_vectors.gallery = crops.gallery AND new_vectors.face = crops.face
)"""


def progress(db: Connection, gallery: GalleryInfo) -> ReEmbeddingProgress | None:
    """Return what was done so far of a re-embedding; None if none has begun."""
    row = db.execute(
        "SELECT model, started_at, (SELECT count(*) FROM new_vectors WHERE gallery = ?) AS done "
        "FROM re_embeddings WHERE gallery = ?",
        (gallery.number, gallery.number),
    ).fetchone()
    return ReEmbeddingProgress(row["model"], int(row["done"]), row["started_at"]) if row else None


def model_of_new_vectors(db: Connection, gallery: GalleryInfo) -> str | None:
    """Return the model for which a re-embedding has begun, without counting what was done."""
    row = db.execute("SELECT model FROM re_embeddings WHERE gallery = ?", (gallery.number,)).fetchone()
    return str(row["model"]) if row else None


def new_dimension(db: Connection, gallery: GalleryInfo) -> int:
    """Return the dimension of the new vectors; 0 if there are none."""
    row = db.execute("SELECT dimension FROM re_embeddings WHERE gallery = ?", (gallery.number,)).fetchone()
    return int(row["dimension"]) if row else 0


def is_complete(db: Connection, gallery: GalleryInfo) -> bool:
    """Return whether every face that has a crop has a new vector."""
    query = f"SELECT 1 FROM crops WHERE gallery = ? AND {WITHOUT_NEW_VECTOR} LIMIT 1"
    return db.execute(query, (gallery.number,)).fetchone() is None


def delete_faces_without_crop(transaction: GalleryTransaction, gallery: GalleryInfo, by: Actor) -> int:
    """Erase them, and return their number; their subjects stay."""
    transaction.log_removals(gallery, WITHOUT_CROP)
    rows = transaction.db.execute(
        f"DELETE FROM faces WHERE gallery = ? AND {WITHOUT_CROP} RETURNING id, subject", (gallery.number,)
    ).fetchall()
    for subject_id in {row["subject"] for row in rows}:
        transaction.delete_saved_responses(gallery, subject_id)
        transaction.renew_key(gallery, subject_id)
    for row in rows:
        audit.append(transaction.db, by, "face.delete", gallery.id, subject=row["subject"], face=row["id"])
    return len(rows)


def switch(transaction: GalleryTransaction, gallery: GalleryInfo, model: str) -> None:
    """Put the new vectors in place of the present ones, with a new transform. Every face must have one."""
    db, dimension = transaction.db, new_dimension(transaction.db, gallery)
    seed = transaction.codec.new_seed(gallery.number)
    switched = replace(gallery, model=model, dimension=dimension, sealed_seed=seed)
    update = "UPDATE faces SET vector = ? WHERE gallery = ? AND id = ?"
    for row in _new_vectors(transaction, gallery):
        vector = transaction.codec.new_vector(gallery, row, dimension)
        cipher = transaction.keys.cipher(gallery.number, row["subject"])
        stored = transaction.codec.encrypt_vector(switched, row["subject"], row["face"], vector, cipher)
        db.execute(update, (stored, gallery.number, row["face"]))
    db.forget_values(update)
    db.execute("DELETE FROM re_embeddings WHERE gallery = ?", (gallery.number,))
    db.execute(
        "UPDATE galleries SET model = ?, dimension = ?, sealed_seed = ? WHERE number = ?",
        (model, dimension, seed, gallery.number),
    )
    transaction.raise_revision(gallery)


def _new_vectors(transaction: GalleryTransaction, gallery: GalleryInfo) -> Iterator[Row]:
    """Yield the new vectors, those of one subject after those of another, a subject in memory at a time."""
    db, number = transaction.db, gallery.number
    for subject in db.execute("SELECT id FROM subjects WHERE gallery = ? ORDER BY id", (number,)).fetchall():
        ids = (number, subject["id"])
        yield from db.execute(f"{queries.NEW_VECTOR} WHERE gallery = ? AND subject = ?", ids).fetchall()
