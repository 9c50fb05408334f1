"""
A data key for each subject, with which all private values of the subject are encrypted.

The data keys are in a file of their own (app/storage/key_file.py), encrypted with the master key that the operator
gives. Once a subject's key is overwritten there, nothing opens the values that are left of the subject in free pages,
snapshots and backups. The order of writing keeps this safe if the process is killed: a new key is synced before the
transaction that uses it, and an old one is destroyed after the transaction that ends its use.
"""

from __future__ import annotations

import json
import os
from collections import Counter

from app.domain.errors import StartError
from app.storage.cipher import KEY_BYTES, AesGcmCipher, Cipher, DecryptionError, NoCipher, key_name_of
from app.storage.database import Connection, DataKeys, has_slot


class MissingDataKey(DecryptionError):
    """The subject's data key was destroyed or lost, or cannot be decrypted."""


class SubjectKeys:
    """Without encryption no subject has a key, and every cipher leaves values as they are."""

    def __init__(self, master: Cipher, file: DataKeys) -> None:
        self.master, self.file = master, file

    @property
    def enabled(self) -> bool:
        return not isinstance(self.master, NoCipher)

    def cipher(self, gallery: int, subject: str, slot: int | None) -> Cipher:
        """Return the cipher for the values of a subject. Raises MissingDataKey."""
        if not self.enabled:
            return self.master
        record = b"" if slot is None else self.file.read(slot)
        if not record:
            raise MissingDataKey("the data key of the subject is missing")
        try:
            return AesGcmCipher([self.master.decrypt(record, _aad(gallery, subject))])
        except DecryptionError as error:
            raise MissingDataKey(f"the data key of the subject cannot be decrypted: {error}") from error

    def create(self, db: Connection, gallery: int, subject: str) -> tuple[int | None, Cipher]:
        """Make a key in a transaction of `db`, and return its slot and its cipher. `file.sync` before the commit."""
        if not self.enabled:
            return None, self.master
        key = os.urandom(KEY_BYTES)
        record = self.master.encrypt(key, _aad(gallery, subject))
        return self.file.add(record, lambda slot: has_slot(db, slot)), AesGcmCipher([key])

    def rewrap(self, db: Connection, master: AesGcmCipher) -> None:
        """Encrypt every data key with another master key; one that cannot be decrypted stays as it is."""
        subjects = {
            row["key_slot"]: _aad(row["gallery"], row["id"])
            for row in db.execute("SELECT gallery, id, key_slot FROM subjects WHERE key_slot IS NOT NULL")
        }
        self.file.replace(
            (slot, _rewrapped(record, master, subjects[slot]) if slot in subjects else record)
            for slot, record in self.file.records()
        )

    def require_master_keys(self, db: Connection) -> None:
        """
        Raises StartError if keys or seeds are encrypted with a master key that is not given.

        A single one is not counted, because damage to the eight bytes that name its key looks the same.
        """
        if not isinstance(self.master, AesGcmCipher) or not self.file.exists():
            return
        used = {row[0] for row in db.execute("SELECT key_slot FROM subjects WHERE key_slot IS NOT NULL")}
        sealed = [record for slot, record in self.file.records() if slot in used]
        sealed += [row[0] for row in db.execute("SELECT sealed_seed FROM galleries WHERE sealed_seed IS NOT NULL")]
        unknown = Counter(name for name in map(key_name_of, sealed) if not self.master.has_key(name))
        if missing := sum(count for count in unknown.values() if count > 1):
            raise StartError(
                f"{missing} keys of the gallery are encrypted with a key that is not given: add the earlier key after "
                "the present one until `likeness gallery rotate` is done"
            )


def _rewrapped(record: bytes, master: AesGcmCipher, aad: str) -> bytes:
    try:
        return master.encrypt(master.decrypt(record, aad), aad)
    except DecryptionError:
        return record


def _aad(gallery: int, subject: str) -> str:
    return json.dumps(["subject key", gallery, subject])
