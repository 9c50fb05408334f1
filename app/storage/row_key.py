"""
The key of the hashes of rows: random, encrypted by the gallery's encryption key; or a known constant if the gallery is
not encrypted.
"""

from __future__ import annotations

import os

from app.domain.errors import Overloaded, ServiceError, StartError
from app.storage.cipher import KEY_BYTES, NOT_GIVEN, Cipher, DecryptionError
from app.storage.database import Connection

_KNOWN_KEY = bytes(KEY_BYTES)
_AAD = "row key"


class RowKey:
    """The key as a transaction of one connection reads or replaces it."""

    def __init__(self, db: Connection, cipher: Cipher) -> None:
        self._db, self._cipher = db, cipher
        self.value = _KNOWN_KEY
        self._stored: bytes | None = None
        self._problem: Exception | None = None

    def load(self) -> None:
        """Read the key as it is in this transaction. Raises StartError or Overloaded if it cannot be decrypted."""
        self._read()
        self._problem = None

    def start(self) -> None:
        """Read the key for a new transaction; what prevents it is raised once the key is needed."""
        try:
            self.load()
        except (ServiceError, StartError) as error:
            self._problem = error

    def require(self) -> None:
        """Raises what prevented that the key was read."""
        if self._problem:
            raise self._problem

    @property
    def is_readable(self) -> bool:
        return self._problem is None

    def use(self, cipher: Cipher) -> None:
        """Decrypt the key with another cipher from now on."""
        self._cipher = cipher
        if self._problem:
            self.load()

    def replace(self) -> None:
        """Make a new key and store it. Raises StartError unless the cipher has the gallery's encryption key."""
        _require_cipher_of_file(self._db, self._cipher)
        self.value = os.urandom(KEY_BYTES)
        self._stored = self._cipher.encrypt(self.value, _AAD)
        self._db.execute(
            "INSERT INTO metadata (name, value) VALUES ('row_key', ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (self._stored,),
        )

    def is_missing(self) -> bool:
        """Return whether an encryption key is given for a gallery that has subjects and is not encrypted."""
        has_subjects = self._db.execute("SELECT 1 FROM subjects LIMIT 1").fetchone() is not None
        return bool(self._cipher.key_name) and self._stored is None and has_subjects

    def _read(self) -> None:
        row = self._db.execute("SELECT CAST(value AS BLOB) AS value FROM metadata WHERE name = 'row_key'").fetchone()
        stored = bytes(row["value"]) if row else None
        if stored is None and is_encrypted(self._db):
            raise ServiceError("the key of the row digests was removed from the database: restore a backup")
        if stored != self._stored:
            self.value = _KNOWN_KEY if stored is None else _decrypted(self._cipher, stored)
            self._stored = stored


def is_encrypted(db: Connection) -> bool:
    return db.execute("SELECT 1 FROM metadata WHERE name = 'key_check'").fetchone() is not None


def _require_cipher_of_file(db: Connection, cipher: Cipher) -> None:
    """Raises StartError unless the cipher has the gallery's key, so that the row key can be decrypted again."""
    if not cipher.key_name:
        raise StartError(NOT_GIVEN)
    row = db.execute("SELECT CAST(value AS BLOB) AS value FROM metadata WHERE name = 'key_check'").fetchone()
    try:
        cipher.decrypt(row["value"], "seal")
    except DecryptionError as error:
        raise StartError("the gallery is encrypted with another key than those given") from error


def _decrypted(cipher: Cipher, stored: bytes) -> bytes:
    if not cipher.key_name:
        raise StartError(NOT_GIVEN)
    try:
        return cipher.decrypt(stored, _AAD)
    except DecryptionError as error:
        raise Overloaded("the gallery's encryption key was changed: restart this service with the new key") from error
