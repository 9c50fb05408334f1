"""Somebody who has the files of a gallery, some of them from earlier, and the master key."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.gallery.sealed_values import aad
from app.storage.key_file import KeyFile, key_path

COLUMNS = {
    "metadata": "subjects",
    "vector": "faces",
    "detection": "faces",
    "crop": "crops",
    "new_vector": "new_vectors",
    "response": "idempotency_keys",
}
IDS = {
    "subjects": "gallery, id",
    "faces": "gallery, subject, id",
    "crops": "gallery, subject, face",
    "new_vectors": "gallery, subject, face",
    "idempotency_keys": "gallery, subject, key",
}


def copied(path: Path, to: Path) -> Path:
    """Copy the database, its write-ahead log and its keys as they are now; return the path of the copy."""
    to.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        if not file.name.endswith(("-shm", "-reserve")):
            shutil.copyfile(file, to / file.name)
    return to / path.name


def values_opened(database: Path, keys: Path, masters: Sequence[bytes]) -> set[tuple[str, ...]]:
    """Return (column, subject, id ...) of each stored value that a master key or one in the key file opens."""
    with closing(sqlite3.connect(database)) as db:
        subjects = db.execute("SELECT gallery, id FROM subjects").fetchall()
        ciphers = [AESGCM(key) for key in [*masters, *_data_keys(keys, subjects, masters)]]
        return {
            (column, *map(str, ids[1:]))
            for column, table in COLUMNS.items()
            for *ids, value in db.execute(f"SELECT {IDS[table]}, {column} FROM {table}")  # noqa: S608
            if _opens(ciphers, bytes(value), aad(column, *ids))
        }


def _data_keys(keys: Path, subjects: Sequence[tuple[int, str]], masters: Sequence[bytes]) -> Iterator[bytes]:
    with closing(KeyFile(keys)) as file:
        for _, record in file.records():
            for subject in subjects:
                for master in masters:
                    key = _decrypted(AESGCM(master), record, json.dumps(["subject key", *subject]))
                    if key is not None:
                        yield key


def _opens(ciphers: Sequence[AESGCM], sealed: bytes, value_aad: str) -> bool:
    return any(_decrypted(cipher, sealed, value_aad) is not None for cipher in ciphers)


def _decrypted(cipher: AESGCM, sealed: bytes, value_aad: str) -> bytes | None:
    try:
        return cipher.decrypt(sealed[9:21], sealed[21:], value_aad.encode())
    except (InvalidTag, ValueError):
        return None


def keys_of(path: Path) -> dict[int, bytes]:
    """Return the records of the key file of a database."""
    with closing(KeyFile(key_path(path))) as file:
        return dict(file.records())
