"""Check that the encryption keys given are those of the database, and replace them."""

from __future__ import annotations

from app.audit import log as audit
from app.domain.errors import Overloaded, ServiceError, StartError
from app.domain.identity import Actor
from app.gallery.codec import aad
from app.storage.cipher import (
    KEY_NAME_BYTES,
    KEY_NAME_START,
    OVERHEAD,
    AesGcmCipher,
    Cipher,
    DecryptionError,
    NoCipher,
    key_name_of,
)
from app.storage.sqlite import Connection, Database, Row

_KEY_CHECK, _KEY_CHECK_AAD = b"likeness", "seal"
_PRIVATE_COLUMNS = {
    "subjects": (("gallery", "id"), ("metadata", "consent")),
    "idempotency_keys": (("gallery", "subject", "key"), ("response",)),
    "faces": (("gallery", "subject", "id"), ("vector", "detection")),
}
"""The columns of each table that identify a row, and those that are encrypted unless null."""


def require_cipher(db: Connection, cipher: Cipher) -> None:
    """Raises StartError unless the cipher can read the file's values; a file without any takes the cipher's key."""
    key_check = _stored_key_check(db)
    if key_check is None:
        if not isinstance(cipher, NoCipher) and db.execute("SELECT 1 FROM subjects LIMIT 1").fetchone():
            raise StartError("the gallery is not encrypted yet: run `likeness gallery rotate` with the key once")
        if not isinstance(cipher, NoCipher):
            _store_key_check(db, cipher)
    elif isinstance(cipher, NoCipher):
        raise StartError(
            "the gallery is encrypted: set LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE to its key"
        )
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


def require_all_keys(db: Connection, cipher: Cipher) -> None:
    """
    Raises StartError if values were encrypted with a key that is not given: they are not damaged, but a key is missing.

    A single such value is not counted, because damage to the eight bytes that name its key looks the same.
    """
    if not isinstance(cipher, AesGcmCipher):
        return
    private_values = " UNION ALL ".join(
        f"SELECT {column} AS value FROM {table}"
        for table, (_, columns) in _PRIVATE_COLUMNS.items()
        for column in columns
    )
    counts = db.execute(
        f"""SELECT CAST(substr(value, {KEY_NAME_START + 1}, {KEY_NAME_BYTES}) AS BLOB) AS key_name, count(*) AS count
            FROM ({private_values}) WHERE length(value) >= {OVERHEAD} AND substr(value, 1, 1) = x'01'
            GROUP BY key_name HAVING count(*) > 1"""
    )
    missing = sum(row["count"] for row in counts if not cipher.has_key(row["key_name"]))
    if missing:
        raise StartError(
            f"{missing} values of the gallery are encrypted with a key that is not given: add the earlier key after "
            "the present one until `likeness gallery rotate` is done"
        )


def rotate(database: Database, cipher: AesGcmCipher, by: Actor) -> int:
    """
    Encrypt every private value with the first of the cipher's keys, also values that are not encrypted yet.

    Return the number of faces. Raises StartError if a key is missing, or ServiceError if a row is damaged.
    """
    with database.writing() as db:
        was_encrypted = _stored_key_check(db) is not None
        if was_encrypted:
            require_cipher(db, cipher)
            require_all_keys(db, cipher)
        faces = _reencrypt(db, cipher if was_encrypted else NoCipher(), cipher)
        _store_key_check(db, cipher)
        audit.append(db, by, "gallery.rotate", "", faces=faces)
    database.vacuum()  # no page with an earlier value is left
    return faces


def _reencrypt(db: Connection, before: Cipher, after: Cipher) -> int:
    """Encrypt every private value with another cipher; return the number of faces."""
    rows: list[Row] = []
    for table, (ids, columns) in _PRIVATE_COLUMNS.items():
        values = [f"CAST({column} AS BLOB) AS {column}" for column in columns]
        rows = db.execute(f"SELECT {', '.join([*ids, *values])} FROM {table}").fetchall()
        assignments = ", ".join(f"{column} = ?" for column in columns)
        conditions = " AND ".join(f"{name} = ?" for name in ids)
        for row in rows:
            row_ids = [row[name] for name in ids]
            encrypted = [_reencrypt_value(row[column], aad(column, *row_ids), before, after) for column in columns]
            db.execute(f"UPDATE {table} SET {assignments} WHERE {conditions}", (*encrypted, *row_ids))
    return len(rows)


def _reencrypt_value(stored: bytes | None, value_aad: str, before: Cipher, after: Cipher) -> bytes | None:
    if stored is None:
        return None
    try:
        return after.encrypt(before.decrypt(stored, value_aad), value_aad)
    except DecryptionError as error:
        raise ServiceError(f"damaged value {value_aad}: run `likeness gallery check`, then `repair`") from error


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
    db.execute("INSERT OR REPLACE INTO metadata (name, value) VALUES ('key_check', ?)", (key_check,))
