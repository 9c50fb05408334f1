"""Bytes of the files of a SQLite gallery that should not be there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from app.bootstrap.storage import GALLERY_FILE
from app.storage.key_file import KeyFile, key_path
from tests.support.commands import eventually

from .model_client import Client
from .re_embedding import crop_text

_VALUES = {
    "faces": "vector",
    "crops": "crop",
    "new_vectors": "new_vector",
    "subjects": "metadata",
    "idempotency_keys": "response",
}
_PIECE = 64
_PATIENCE = 60.0
"""Seconds within which the service writes its file anew after an erasure."""


class Residues:
    """
    Looks for what was erased: in a plain file for what clients have sent, in an encrypted one for what was stored.

    None of it may be in a file beside the database, and no key anywhere. In the database SQLite may leave a copy in
    unused bytes (app/storage/rewriting.py) for as long as the running service needs to notice it and write the file
    anew. In an encrypted gallery nothing that clients have sent may be read at any time.
    """

    def __init__(self, data_dir: Path, *, encrypted: bool) -> None:
        self._path, self._encrypted = data_dir / GALLERY_FILE, encrypted
        self._values: set[bytes] = set()
        self._keys: set[bytes] = set()

    def check(self, clients: Sequence[Client]) -> None:
        """Check the files of a gallery that clients do not change meanwhile."""
        present, erased = _sent(clients)
        if self._encrypted:
            assert not _found(present | erased, *self._files())
            present, erased = self._erased_values()
            self._check_keys()
        assert eventually(lambda: _found(present, *self._files()) == present), "what is there cannot be found"
        _, *others = self._files()
        assert not _found(erased, *others), "what was erased is in a file beside the database"
        assert eventually(lambda: not _found(erased, *self._files()), _PATIENCE), "what was erased is in the database"

    def _files(self) -> list[bytes]:
        """Return the contents of the database, and of the files beside it."""
        others = (file for file in sorted(self._path.parent.iterdir()) if file != self._path)
        return [file.read_bytes() for file in (self._path, *others)]

    def _erased_values(self) -> tuple[set[bytes], set[bytes]]:
        """Return the end of each encrypted value that is stored, and of each that was when this was called before."""
        with closing(sqlite3.connect(self._path)) as db:
            stored = {
                bytes(row[0])[-_PIECE:]
                for table, column in _VALUES.items()
                for row in db.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
            }
        erased, self._values = self._values - stored, self._values | stored
        return stored, erased

    def _check_keys(self) -> None:
        """Check that each subject has a key, which no other file has, and that no key of an erased one is left."""
        with closing(sqlite3.connect(self._path)) as db:
            slots = {row[0] for row in db.execute("SELECT key_slot FROM subjects")}
        with closing(KeyFile(key_path(self._path))) as file:
            records = dict(file.records())
        assert records.keys() == slots, "keys are left of nobody, or missing"
        present = set(records.values())
        erased, self._keys = self._keys - present, self._keys | present
        assert not _found(erased, *self._files()), "the key of somebody who was erased is left"
        in_key_file = key_path(self._path).read_bytes()
        assert not _found(present, *(data for data in self._files() if data != in_key_file)), "keys are in another file"


def _sent(clients: Sequence[Client]) -> tuple[set[bytes], set[bytes]]:
    """Return what is there of the vectors, crops and notes that clients have sent, and what was erased."""
    present: set[bytes] = set()
    everything: set[bytes] = set()
    waiting: set[bytes] = set()
    for client in clients:
        people = client.state.values()
        faces = {face for person in people for face in person.faces}
        present |= {_piece(client, face, client.sign) for face in faces}
        present |= {crop_text(client.seed(face)) for face in faces & client.crops}
        present |= {person.note.encode() for person in people if person.note}
        everything |= {_piece(client, face, sign) for face in range(len(client.vectors)) for sign in (1, -1)}
        everything |= {crop_text(client.seed(face)) for face in client.crops}
        everything |= {note.encode() for note in client.notes}
        if client.is_re_embedding:
            waiting |= {_piece(client, face, -client.sign) for face in faces}
    return present, everything - present - waiting


def _piece(client: Client, face: int, sign: int) -> bytes:
    return bytes((sign * client.vectors[face]).tobytes()[:_PIECE])


def _found(pieces: Iterable[bytes], *files: bytes) -> set[bytes]:
    """Return the pieces that a file has. All are looked for at once, by their last eight bytes, which is quick."""
    by_end: dict[int, list[bytes]] = {}
    for piece in pieces:
        by_end.setdefault(int.from_bytes(piece[-8:], "little"), []).append(piece)
    ends, found = np.array(sorted(by_end), np.uint64), set[bytes]()
    for data in (file for file in files if len(file) >= _PIECE):
        for offset in range(8):
            words = np.frombuffer(data, "<u8", (len(data) - offset) // 8, offset)
            for place in np.flatnonzero(np.isin(words, ends)):
                end = offset + 8 * int(place) + 8
                found |= {piece for piece in by_end[int(words[place])] if data.endswith(piece, 0, end)}
    return found
