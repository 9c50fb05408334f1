"""Bytes of the files of a SQLite gallery that should not be there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from app.bootstrap.storage import GALLERY_FILE
from app.storage.key_file import KeyFile, key_path

from .model_client import Client

_VALUES = {"faces": "vector", "subjects": "metadata", "idempotency_keys": "response"}
_PIECE = 64


class Residues:
    """
    Looks for what was erased: in a plain file for what clients have sent, in an encrypted one for what was stored.

    In an encrypted file nothing that clients have sent may be read at all.
    """

    def __init__(self, data_dir: Path, *, encrypted: bool) -> None:
        self._path, self._encrypted = data_dir / GALLERY_FILE, encrypted
        self._stored: set[bytes] = set()

    def check(self, clients: Sequence[Client]) -> None:
        """Check the files of a gallery that no process changes meanwhile."""
        files = b"".join(each.read_bytes() for each in sorted(self._path.parent.iterdir()))
        present, erased = _sent(clients)
        if self._encrypted:
            assert _found(present | erased, files) == set()
            stored = self._values()
            assert _found(stored, files) == stored
            assert _found(self._stored - stored, files) == set()
            self._stored |= stored
        else:
            assert _found(present, files) == present
            assert _found(erased, files) == set()

    def _values(self) -> set[bytes]:
        """Return the encrypted values of all rows, and the records of the keys, each of which a subject must have."""
        with closing(sqlite3.connect(self._path)) as db:
            slots = {row[0] for row in db.execute("SELECT key_slot FROM subjects")}
            values = [
                row[0]
                for table, column in _VALUES.items()
                for row in db.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
            ]
        with closing(KeyFile(key_path(self._path))) as file:
            records = dict(file.records())
        assert records.keys() == slots
        return {bytes(value)[-_PIECE:] for value in [*values, *records.values()]}


def _sent(clients: Sequence[Client]) -> tuple[set[bytes], set[bytes]]:
    """Return what is there of the vectors and notes that clients have sent, and what was erased."""
    present: set[bytes] = set()
    everything: set[bytes] = set()
    for client in clients:
        people = client.state.values()
        present |= {client.vectors[face].tobytes()[:_PIECE] for person in people for face in person.faces}
        present |= {person.note.encode() for person in people if person.note}
        everything |= {vector.tobytes()[:_PIECE] for vector in client.vectors} | {n.encode() for n in client.notes}
    return present, everything - present


def _found(pieces: Iterable[bytes], data: bytes) -> set[bytes]:
    return {piece for piece in pieces if piece in data}
