"""The statements that read each table, without their conditions."""

from __future__ import annotations

from app.gallery.records import GalleryInfo
from app.storage.database import Row

# Private values are read with CAST, because SQLite keeps any type in any column, and a damaged row may hold one.
_GALLERY = "number, id, model, dimension, revision, created_at, CAST(sealed_seed AS BLOB) AS sealed_seed"
GALLERY = f"""SELECT {_GALLERY},
    (SELECT count(*) FROM subjects WHERE gallery = number) AS subjects,
    (SELECT count(*) FROM faces WHERE gallery = number) AS faces FROM galleries"""
UNCOUNTED_GALLERY = f"SELECT {_GALLERY}, 0 AS subjects, 0 AS faces FROM galleries"
_NOTED = "coalesce((SELECT row_count FROM row_digests WHERE gallery = number AND relation = '{}'), 0)"
INDEXED_GALLERY = f"""SELECT {_GALLERY},
    {_NOTED.format("subjects")} AS subjects, {_NOTED.format("faces")} AS faces FROM galleries"""
"""With the counts of the digests of rows, since to count a hundred million rows takes minutes."""
SUBJECT = """SELECT id, CAST(metadata AS BLOB) AS metadata, CAST(consent AS BLOB) AS consent, created_at, expires_at,
    key_slot, (SELECT count(*) FROM faces WHERE faces.gallery = subjects.gallery AND subject = subjects.id) AS faces
    FROM subjects"""
METADATA = "SELECT id, CAST(metadata AS BLOB) AS metadata, CAST(consent AS BLOB) AS consent, key_slot FROM subjects"
FACE_COLUMNS = "gallery, subject, id, vector, detection, revision, enrolled_at"
_KEY_SLOT = "(SELECT key_slot FROM subjects WHERE subjects.gallery = {0}.gallery AND subjects.id = {0}.subject)"
FACE = f"""SELECT revision, rowid, subject, id, CAST(vector AS BLOB) AS vector,
    CAST(detection AS BLOB) AS detection, enrolled_at, {_KEY_SLOT.format("faces")} AS key_slot FROM faces"""
CROP = f"""SELECT subject, face, CAST(crop AS BLOB) AS crop, {_KEY_SLOT.format("crops")} AS key_slot FROM crops"""
NEW_VECTOR = f"""SELECT subject, face, CAST(new_vector AS BLOB) AS new_vector,
    {_KEY_SLOT.format("new_vectors")} AS key_slot FROM new_vectors"""
RESPONSE = f"""SELECT subject, key, request_digest, CAST(response AS BLOB) AS response,
    {_KEY_SLOT.format("idempotency_keys")} AS key_slot FROM idempotency_keys"""


def gallery_info(row: Row) -> GalleryInfo:
    return GalleryInfo(**dict(row))
