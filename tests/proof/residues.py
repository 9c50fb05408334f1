"""Bytes of the files of a SQLite gallery that should not be there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from app.bootstrap.storage import GALLERY_FILE
from app.storage.key_file import KeyFile, key_path

from .model_client import Client

_VALUES = {"faces": "vector", "subjects": "metadata", "idempotency_keys": "response"}
_PIECE = 64
_RARE = 50


class Residues:
    """
    Looks for what was erased: in a plain file for what clients have sent, in an encrypted one for what was stored.

    In an encrypted file nothing that clients have sent may be read at all. `left` counts what SQLite has left in unused
    bytes of its pages until `rebuild` (docs/operations/privacy.md): at most one in 50 of what was erased.
    """

    def __init__(self, data_dir: Path, *, encrypted: bool) -> None:
        self._path, self._encrypted = data_dir / GALLERY_FILE, encrypted
        self._stored: set[bytes] = set()
        self.left = 0

    def check(self, clients: Sequence[Client], rebuild: Callable[[], None]) -> None:
        """Check the files of a gallery that no process changes meanwhile."""
        present, erased = _sent(clients)
        if self._encrypted:
            assert not _found(present | erased, *self._files())
            stored = self._values()
            present, erased, self._stored = stored, self._stored - stored, self._stored | stored
        database, *others = self._files()
        assert _found(present, database, *others) == present, "what is there cannot be found"
        assert not _found(erased, *others), "what was erased is in a file beside the database"
        if left := len(_found(erased, database)):
            assert left <= 1 + len(erased) // _RARE, f"{left} of {len(erased)} erased values are in the database"
            rebuild()
            assert not _found(erased, *self._files()), "what was erased is in the database after it was rebuilt"
            self.left += left

    def _files(self) -> list[bytes]:
        """Return the contents of the database, and of the files beside it."""
        others = (file for file in sorted(self._path.parent.iterdir()) if file != self._path)
        return [file.read_bytes() for file in (self._path, *others)]

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
        assert records.keys() == slots, "keys are left of nobody, or missing"
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


def _found(pieces: Iterable[bytes], *files: bytes) -> set[bytes]:
    return {piece for piece in pieces if any(piece in file for file in files)}
