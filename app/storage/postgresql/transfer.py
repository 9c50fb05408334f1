"""
Copy a SQLite file into an empty PostgreSQL database, row by row as they are: encrypted values, keys and the audit log.

The source must not change meanwhile. Rows are copied in the order of the source, several thousand in a transaction, so
that a copy that was interrupted goes on behind the rows that are there. Both databases hash rows alike (row_hashes.py),
so in the end the digests of all rows are compared. Until then the target has a mark with which no service opens it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from app.domain.errors import ServiceError, StartError
from app.storage import sqlite
from app.storage.database import Connection as AnyConnection
from app.storage.postgresql.connection import Connection
from app.storage.postgresql.database import Database
from app.storage.postgresql.errors import domain_errors
from app.storage.postgresql.migrate import UNFINISHED, migrate
from app.storage.row_hashes import Digest, Part, sum_rows

_BATCH = 5000
_TABLES = {
    "galleries": "number",
    "subjects": "rowid",
    "faces": "rowid",
    "crops": "rowid",
    "removals": "rowid",
    "re_embeddings": "gallery",
    "new_vectors": "rowid",
    "idempotency_keys": "rowid",
    "api_keys": "id",
    "data_keys": "slot",
    "audit": "seq",
}
"""Each table in the order of the references between them, and the order of its rows in SQLite."""
_SEQUENCES = {"galleries": "number", "data_keys": "slot"}
_FINAL = ("row_digests", "audit_head", "metadata")
Progress = Callable[[str, int], None]


class DifferentCopy(ServiceError):
    """The copy is not the same as its source."""


def transfer(source: sqlite.Database, url: str, on_progress: Progress = lambda _, __: None) -> int:
    """
    Copy everything, and return the number of rows; `on_progress` gets the table and how many of its rows are there.

    Raises StartError if the target has something else, or DifferentCopy.
    """
    target = Database(url)
    try:
        migrate(target, unfinished=True)
        with source.reading() as rows_of:
            head = _head(rows_of)
            with target.migrating() as db:
                _begin(db, head)
            copied = sum(_copy_table(source, rows_of, target, table, on_progress) for table in _TABLES)
            with target.migrating() as db:
                copied += sum(_copy_final(rows_of, db, table) for table in _FINAL)
                _continue_numbers(rows_of, db)
                _compare(source, rows_of, db)
                db.execute("DELETE FROM metadata WHERE name = ?", (UNFINISHED,))
        with source.reading() as rows_of:
            if _head(rows_of) != head:
                raise DifferentCopy("the source was changed after it was copied: copy it to another database")
    finally:
        target.close()
    return copied


def _begin(db: Connection, head: bytes) -> None:
    """Mark an empty target as unfinished; one that is marked must be the copy of the same source."""
    row = db.execute("SELECT value FROM metadata WHERE name = ?", (UNFINISHED,)).fetchone()
    if row is None:
        found = [table for table in _TABLES if _count(db, table)]
        if found:
            raise StartError(f"expected an empty database, got one with rows in {found[0]}")
        db.execute("INSERT INTO metadata (name, value) VALUES (?, ?)", (UNFINISHED, head))
    elif bytes(row["value"]) != head:
        raise StartError("the database has an unfinished copy of another gallery, or of this one before it was changed")


def _copy_table(
    source: sqlite.Database, rows_of: AnyConnection, target: Database, table: str, on_progress: Progress
) -> int:
    with target.reading() as db:
        done = _count(db, table)
        columns = [name for name in db.column_names(table) if (table, name) != ("faces", "rowid")]
    rows = _key_rows(source, rows_of) if table == "data_keys" else _rows(rows_of, table, columns)
    rows = islice(rows, done, None)
    while batch := list(islice(rows, _BATCH)):
        with target.migrating() as db:
            _insert(db, table, columns, batch)
        done += len(batch)
        on_progress(table, done)
    return done


def _rows(db: AnyConnection, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
    names = ", ".join(columns)
    for row in db.execute(f"SELECT {names} FROM {table} ORDER BY {_TABLES[table]}"):  # noqa: S608
        yield tuple(row)


def _key_rows(source: sqlite.Database, db: AnyConnection) -> Iterator[Sequence[Any]]:
    """Yield the keys of subjects; others are of nobody."""
    for row in db.execute("SELECT key_slot FROM subjects WHERE key_slot IS NOT NULL ORDER BY key_slot"):
        if record := source.keys.read(row["key_slot"]):
            yield row["key_slot"], record


def _insert(db: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(columns)
    with domain_errors(), db.wire.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _copy_final(rows_of: AnyConnection, db: Connection, table: str) -> int:
    """Copy a small table in place of the rows that a new database has."""
    columns = db.column_names(table)
    db.execute(f"DELETE FROM {table}" + (" WHERE name <> ?" if table == "metadata" else ""), _unfinished(table))  # noqa: S608
    rows = [tuple(row) for row in rows_of.execute(f"SELECT {', '.join(columns)} FROM {table}")]  # noqa: S608
    _insert(db, table, columns, rows)
    return len(rows)


def _unfinished(table: str) -> tuple[str, ...]:
    return (UNFINISHED,) if table == "metadata" else ()


def _continue_numbers(rows_of: AnyConnection, db: Connection) -> None:
    """A number of a gallery is never used again, also after the gallery is gone."""
    row = rows_of.execute("SELECT seq FROM sqlite_sequence WHERE name = 'galleries'").fetchone()
    for table, column in _SEQUENCES.items():
        largest = db.execute(f"SELECT coalesce(max({column}), 0) AS largest FROM {table}").fetchone()  # noqa: S608
        number = max(largest["largest"] if largest else 0, row["seq"] if row and table == "galleries" else 0)
        db.execute("SELECT setval(pg_get_serial_sequence(?, ?), ?, FALSE)", (table, column, number + 1))


def _compare(source: sqlite.Database, rows_of: AnyConnection, db: Connection) -> None:
    """Raises DifferentCopy."""
    key = os.urandom(32)
    found, expected = sum_rows(db, key), sum_rows(rows_of, key)
    if found != expected:
        raise DifferentCopy(f"the copy differs: {_first_difference(found, expected)}")
    for table in ("audit", *_FINAL):
        columns = ", ".join(db.column_names(table))
        query = f"SELECT {columns} FROM {table} ORDER BY 1, 2"  # noqa: S608
        here = [tuple(row) for row in db.execute(query) if row[0] != UNFINISHED]
        if here != [tuple(row) for row in rows_of.execute(query)]:
            raise DifferentCopy(f"the copy differs in the table {table}")
    if list(_key_rows(source, rows_of)) != [
        tuple(row) for row in db.execute("SELECT slot, record FROM data_keys ORDER BY slot")
    ]:
        raise DifferentCopy("the copy differs in the data keys")


def _first_difference(found: dict[Part, Digest], expected: dict[Part, Digest]) -> str:
    part = min(each for each in found.keys() | expected.keys() if found.get(each) != expected.get(each))
    counts = [sums[part].rows if part in sums else 0 for sums in (expected, found)]
    return f"gallery number {part.gallery}, {part.table}: expected {counts[0]} rows, got {counts[1]}, or other ones"


def _head(db: AnyConnection) -> bytes:
    row = db.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return bytes.fromhex(row["hash"]) if row else b"\0"


def _count(db: AnyConnection, table: str) -> int:
    row = db.execute(f"SELECT count(*) AS rows FROM {table}").fetchone()  # noqa: S608
    return int(row["rows"]) if row else 0
