"""Check that the encryption keys given are those of the database, encrypt it, and replace the master key."""

from __future__ import annotations

from contextlib import suppress

from app.audit import log as audit
from app.domain.errors import Overloaded, StartError
from app.domain.identity import SYSTEM, Actor
from app.gallery.codec import RowCodec
from app.gallery.queries import GALLERY, gallery_info
from app.gallery.records import GalleryInfo
from app.gallery.resealing import encrypt_gallery
from app.gallery.sealed_values import aad
from app.gallery.snapshots import snapshots_of
from app.gallery.subject_keys import SubjectKeys
from app.storage import ledger
from app.storage.cipher import NOT_GIVEN, AesGcmCipher, Cipher, DecryptionError, NoCipher, key_name_of
from app.storage.database import Connection, Database, DataKeys

_KEY_CHECK, _KEY_CHECK_AAD = b"likeness", "seal"


def open_with_cipher(database: Database, row_codec: RowCodec) -> None:
    """
    Raises StartError unless the cipher and the key file are those of the database; a new one takes them.

    Galleries that an earlier version encrypted with the master key alone get data keys and a transform, a transaction
    each, so that it may be interrupted.
    """
    with database.writing() as db:
        require_cipher(db, row_codec.keys.master)
        if not row_codec.keys.enabled:
            return
        _require_key_file(db, database.keys)
        outdated = len(_outdated(db))
    for _ in range(outdated):
        with database.writing() as db:
            for gallery in _outdated(db)[:1]:  # none, if another process was faster
                encrypt_gallery(db, row_codec, gallery, row_codec.keys.master)
                audit.append(db, SYSTEM, "gallery.encrypt", gallery.id)
    if outdated:
        database.vacuum()  # no page is left that the master key alone opens


def _outdated(db: Connection) -> list[GalleryInfo]:
    return [gallery_info(row) for row in db.execute(f"{GALLERY} WHERE sealed_seed IS NULL ORDER BY number")]


def _require_key_file(db: Connection, file: DataKeys) -> None:
    """Raises StartError unless the file is that of the database; a database without any takes it, or makes one."""
    row = db.execute("SELECT value FROM metadata WHERE name = 'key_file'").fetchone()
    if row is None:
        if not file.exists():
            file.create()
        elif next(file.records(), None):
            raise StartError(f"{file.path} has the keys of another gallery: put it where that gallery is")
        db.execute("INSERT INTO metadata (name, value) VALUES ('key_file', ?)", (file.file_id(),))
    elif not file.exists():
        raise StartError(
            f"{file.path} is missing, without which nothing of the gallery can be read: restore a backup, "
            "or set LIKENESS_DATA_KEYS_DIR to where it is"
        )
    elif file.file_id() != row["value"]:
        raise StartError(f"{file.path} has the keys of another gallery: restore the one of this gallery")


def require_cipher(db: Connection, cipher: Cipher) -> None:
    """Raises StartError unless the cipher can read the file's values; a file without any takes the cipher's key."""
    key_check = _stored_key_check(db)
    if key_check is None:
        if not isinstance(cipher, NoCipher) and db.execute("SELECT 1 FROM subjects LIMIT 1").fetchone():
            raise StartError("the gallery is not encrypted yet: run `likeness gallery rotate` with the key once")
        if not isinstance(cipher, NoCipher):
            _store_key_check(db, cipher)
            ledger.rekey(db, cipher)
            if db.execute("SELECT 1 FROM audit LIMIT 1").fetchone():
                audit.append(db, SYSTEM, "gallery.encrypt", "")
    elif isinstance(cipher, NoCipher):
        raise StartError(NOT_GIVEN)
    elif not _can_decrypt(cipher, key_check):
        raise StartError(
            "the gallery is encrypted with another key than those given (while it changes its key, give the new one "
            "first and the old one second, until `likeness gallery rotate` is done)"
        )


def require_same_cipher(db: Connection, cipher: Cipher, *, writing: bool) -> None:
    """
    Raises Overloaded if the gallery's key was changed to one that this process does not have.

    The first write with a newer key makes it the gallery's key, so that processes with only the older key stop here
    instead of failing to read what follows.
    """
    key_check = _stored_key_check(db)
    if (key_name_of(key_check) if key_check else b"") == cipher.key_name:
        return
    if key_check is None or isinstance(cipher, NoCipher) or not _can_decrypt(cipher, key_check):
        raise Overloaded("the gallery's encryption key was changed: restart this service with the new key")
    if writing:
        _store_key_check(db, cipher)


def rotate(database: Database, cipher: AesGcmCipher, by: Actor) -> int:
    """
    Encrypt every data key with the first of the cipher's keys, or a gallery for the first time; return its faces.

    Values stay as they are when the key changes, because data keys encrypt them. Raises StartError if a key is missing.
    """
    with database.writing() as db:
        is_new = _stored_key_check(db) is None
        _require_key_file(db, database.keys)
    row_codec = RowCodec(SubjectKeys(cipher, database.keys))
    if not is_new:
        open_with_cipher(database, row_codec)
    with database.replacing() as db:
        if is_new:
            for gallery in _outdated(db):
                encrypt_gallery(db, row_codec, gallery, NoCipher())
        row_codec.keys.require_master_keys(db)
        _reseal_seeds(db, cipher)
        _store_key_check(db, cipher)
        ledger.rekey(db, cipher)
        faces = int(db.execute("SELECT count(*) FROM faces").fetchone()[0])
        audit.append(db, by, "gallery.rotate", "", faces=faces)
        row_codec.keys.rewrap(db, cipher)  # last: if the commit fails, the database still names the earlier key
    if is_new:
        database.vacuum()  # no page with a value in clear is left
    snapshots_of(database, cipher).destroy()  # an earlier key, or none, opens them
    return faces


def _reseal_seeds(db: Connection, cipher: AesGcmCipher) -> None:
    for row in db.execute("SELECT number, sealed_seed FROM galleries WHERE sealed_seed IS NOT NULL").fetchall():
        seed_aad = aad("seed", row["number"])
        with suppress(DecryptionError):  # a damaged seed stays as it is
            seed = cipher.encrypt(cipher.decrypt(row["sealed_seed"], seed_aad), seed_aad)
            db.execute("UPDATE galleries SET sealed_seed = ? WHERE number = ?", (seed, row["number"]))


def _can_decrypt(cipher: Cipher, key_check: bytes) -> bool:
    try:
        cipher.decrypt(key_check, _KEY_CHECK_AAD)
    except DecryptionError:
        return False
    return True


def _stored_key_check(db: Connection) -> bytes | None:
    """Return the value that only the gallery's key decrypts; None if the gallery is not encrypted."""
    row = db.execute("SELECT value FROM metadata WHERE name = 'key_check'").fetchone()
    return bytes(row["value"]) if row else None


def _store_key_check(db: Connection, cipher: Cipher) -> None:
    key_check = cipher.encrypt(_KEY_CHECK, _KEY_CHECK_AAD)
    db.execute(
        "INSERT INTO metadata (name, value) VALUES ('key_check', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (key_check,),
    )
