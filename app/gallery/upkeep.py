"""What is done to the records as a whole: their seal, their damage, their expiry."""

from __future__ import annotations

from dataclasses import dataclass

from app.audit import log as audit
from app.domain.errors import Overloaded, ServiceError, StartError
from app.domain.identity import Actor
from app.gallery.codec import RowCodec
from app.gallery.transaction import GalleryTransaction
from app.storage.cipher import AesGcmCipher, Cipher, NoCipher, name_of
from app.storage.sqlite import Connection, Database, Row

_PROOF = b"likeness"


@dataclass(frozen=True, slots=True)
class Expired:
    gallery: str
    faces: int


# the seal


def require_cipher(db: Connection, cipher: Cipher) -> None:
    """Raises StartError unless `seal` opens the file's values; a file without any takes it."""
    written = _stored_key_name(db)
    if written is None:
        if not isinstance(cipher, NoCipher) and db.execute("SELECT 1 FROM subjects LIMIT 1").fetchone():
            raise StartError("the gallery is not encrypted yet: run `likeness gallery rotate` with the key once")
        if not isinstance(cipher, NoCipher):
            _store_key_name(db, cipher)
    elif isinstance(cipher, NoCipher):
        raise StartError(
            "the gallery is encrypted: set LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE to its key"
        )
    elif not _opens(cipher, written):
        raise StartError(
            "the gallery is encrypted with another key than those given (while it changes its key, give the new one "
            "first and the old one second, until `likeness gallery rotate` is done)"
        )


def require_same_cipher(db: Connection, cipher: Cipher, *, writing: bool) -> None:
    """
    Raises Overloaded where the gallery's key is one by now that this process does not have. The first write with a
    newer key makes it the gallery's: those who have only the older one could not read what follows, and are told here.
    """
    written = _stored_key_name(db)
    if (name_of(written) if written else b"") == cipher.name:
        return
    if written is None or isinstance(cipher, NoCipher) or not _opens(cipher, written):
        raise Overloaded("the gallery's encryption key was changed: this service must be restarted with the new one")
    if writing:
        _store_key_name(db, cipher)


def rotate(database: Database, cipher: AesGcmCipher, by: Actor) -> int:
    """Close every private value with the vault's first key, also those in clear; how many faces there are."""
    for package in ("app.gallery", "app.audit"):
        database.create(package)
    with database.writing() as db:
        written = _stored_key_name(db)
        before = RowCodec(cipher if written is not None else NoCipher())
        if written is not None:
            require_cipher(db, cipher)
        faces = _reencrypt(db, before, RowCodec(cipher))
        _store_key_name(db, cipher)
        audit.append(db, by, "gallery.rotate", "", faces=faces)
    database.rebuild()  # no page with an earlier value is left
    return faces


def _reencrypt(db: Connection, before: RowCodec, after: RowCodec) -> int:
    for row in db.execute("SELECT * FROM subjects").fetchall():
        closed = after.close_metadata(row["gallery"], row["id"], before.metadata(row["gallery"], row))
        db.execute("UPDATE subjects SET metadata = ? WHERE gallery = ? AND id = ?", (closed, row["gallery"], row["id"]))
    for row in db.execute("SELECT * FROM answers").fetchall():
        kept = rows.IdempotencyRecord(row["key"], row["request"], before.answer(row["gallery"], row))
        closed = after.close_answer(row["gallery"], row["subject"], kept)
        where = (row["gallery"], row["subject"], row["key"])
        db.execute("UPDATE answers SET answer = ? WHERE gallery = ? AND subject = ? AND key = ?", (closed, *where))
    faces = db.execute("SELECT rowid, * FROM faces").fetchall()
    for row in faces:
        face = after.face_row(row["gallery"], before.template(row["gallery"], row, ""), row["revision"])
        db.execute("UPDATE faces SET vector = ?, detection = ? WHERE rowid = ?", (face[3], face[4], row["rowid"]))
    return len(faces)


def _opens(cipher: Cipher, written: bytes) -> bool:
    try:
        cipher.open(written, "seal")
    except ServiceError:
        return False
    return True


def _stored_key_name(db: Connection) -> bytes | None:
    row = db.execute("SELECT value FROM facts WHERE name = 'seal'").fetchone()
    return bytes(row["value"]) if row else None


def _store_key_name(db: Connection, cipher: Cipher) -> None:
    db.execute("INSERT OR REPLACE INTO facts VALUES ('seal', ?)", (cipher.close(_PROOF, "seal"),))


# expiry

_OLD_SUBJECTS = """created_at < ? AND NOT EXISTS
    (SELECT 1 FROM faces WHERE faces.gallery = subjects.gallery AND faces.subject = subjects.id)"""


def any_expired(db: Connection, before: str) -> bool:
    found = db.execute(
        f"""SELECT EXISTS (SELECT 1 FROM faces WHERE enrolled_at < ?)
            OR EXISTS (SELECT 1 FROM subjects WHERE {_OLD_SUBJECTS})""",
        (before, before),
    )
    return bool(found.fetchone()[0])


def expire(transaction: GalleryTransaction, before: str, by: Actor) -> list[Expired]:
    galleries = [rows.gallery(row) for row in transaction.db.execute(rows.GALLERY).fetchall()]
    return [done for gallery in galleries if (done := _expire_in(transaction, gallery, before, by))]


def _expire_in(transaction: GalleryTransaction, gallery: rows.GalleryInfo, before: str, by: Actor) -> Expired | None:
    faces = transaction.db.execute(
        "SELECT id, subject FROM faces WHERE gallery = ? AND enrolled_at < ?", (gallery.key, before)
    ).fetchall()
    if faces:
        transaction.note_removals(gallery, "enrolled_at < ?", before)
        transaction.db.execute("DELETE FROM faces WHERE gallery = ? AND enrolled_at < ?", (gallery.key, before))
    for row in faces:
        transaction.forget_answers(gallery, row["subject"])
        audit.append(transaction.db, by, "face.expire", gallery.id, subject=row["subject"], face=row["id"])
    subjects = transaction.db.execute(
        f"DELETE FROM subjects WHERE gallery = ? AND {_OLD_SUBJECTS} RETURNING id", (gallery.key, before)
    ).fetchall()
    if subjects and not faces:
        transaction.raise_revision(gallery)
    for row in subjects:
        audit.append(transaction.db, by, "subject.expire", gallery.id, subject=row["id"])
    return Expired(gallery.id, len(faces)) if faces or subjects else None


# damage


def damage(db: Connection, values: RowCodec) -> list[str]:
    pages = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found = db.execute("SELECT gallery, subject, id, vector FROM faces ORDER BY gallery, id")
    return pages or [f"face {row['id']}: {fault}" for row in found if (fault := _fault(values, row))]


def _fault(values: RowCodec, row: Row) -> str | None:
    try:
        return rows.vector_fault(values.vector_bytes(row["gallery"], row))
    except ServiceError as error:
        return str(error)
