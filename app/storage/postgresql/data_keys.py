"""
The data keys of subjects in a table of their own.

They change in the transaction that needs them, so that none is ever without its subject. `destroy` deletes rows, and
`rewrite` gives the table a new file with only the rows that are left, because PostgreSQL keeps deleted rows in the old
one. What the server has written to its log (WAL) and what a base backup has copied is out of reach from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager

from app.storage.postgresql.connection import Connection

_SINGLE_READS, _WINDOW = 16, 1024
"""A transaction reads so many keys one by one, and more of them in windows of neighbouring slots."""


class KeyTable:
    """`current` is a context with the connection of the thread's open transaction, or of one that reads."""

    path = "the table data_keys"

    def __init__(self, current: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._current = current

    def exists(self) -> bool:
        return True

    def create(self) -> None: ...

    def file_id(self) -> bytes:
        """Return the id that the database knows its keys by; a table cannot be confused with that of another one."""
        with self._current() as db:
            row = db.execute("SELECT value FROM metadata WHERE name = 'key_file'").fetchone()
            return bytes(row["value"]) if row else os.urandom(16)

    def read(self, slot: int) -> bytes:
        with self._current() as db:
            if slot not in db.keys_read:
                first, last = slot, slot
                if len(db.keys_read) >= _SINGLE_READS:
                    first = slot - slot % _WINDOW
                    last = first + _WINDOW - 1
                rows = db.execute("SELECT slot, record FROM data_keys WHERE slot BETWEEN ? AND ?", (first, last))
                db.keys_read |= {row["slot"]: row["record"] for row in rows}
                db.keys_read.setdefault(slot, b"")
            return db.keys_read[slot]

    def records(self) -> Iterator[tuple[int, bytes]]:
        with self._current() as db:
            rows = db.execute("SELECT slot, record FROM data_keys ORDER BY slot").fetchall()
        yield from ((row["slot"], row["record"]) for row in rows)

    def add(self, record: bytes, is_taken: Callable[[int], bool]) -> int:  # noqa: ARG002
        with self._current() as db:
            row = db.execute("INSERT INTO data_keys (record) VALUES (?) RETURNING slot", (record,)).fetchone()
            slot = int(row["slot"]) if row else 0
            db.keys_read[slot] = record
            return slot

    def sync(self) -> None: ...

    def discard(self, slots: Iterable[int]) -> None:
        """Leave it to the rollback."""

    def replace(self, records: Iterable[tuple[int, bytes]]) -> None:
        with self._current() as db:
            db.executemany(
                "UPDATE data_keys SET record = ? WHERE slot = ?", [(record, slot) for slot, record in records]
            )
            db.keys_read.clear()
            self._mark_erased(db)

    def destroy(self, db: Connection, slots: Collection[int]) -> None:
        """Delete the keys; their bytes are pending until `rewrite`."""
        if slots:
            db.execute("DELETE FROM data_keys WHERE slot = ANY(?)", (list(slots),))
            self._mark_erased(db)

    def size(self, db: Connection) -> int:
        """Return the bytes of the table."""
        row = db.execute("SELECT pg_relation_size('data_keys') AS size").fetchone()
        return int(row["size"]) if row else 0

    def rewrite(self, db: Connection) -> None:
        """Write the rows that are left to a new file; no transaction may read the table meanwhile."""
        db.run("ALTER TABLE data_keys ALTER COLUMN record TYPE bytea USING record || ''::bytea")

    def _mark_erased(self, db: Connection) -> None:
        db.execute("INSERT INTO pending_erasures DEFAULT VALUES")
        db.has_erased = True
