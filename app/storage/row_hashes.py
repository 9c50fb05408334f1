"""
Hash the rows of a table, and add up the hashes.

The sum is modulo 2^4096 (AdHash: Bellare and Micciancio 1997; MSet-Add-Hash: Clarke et al. 2003), so that a row can be
taken out again, and rows come in any order. A sum of n bits has collisions that take 2^(2 sqrt n) steps to find (Wagner
2002): 2^128 here, and only 2^32 for a sum of 256 bits. The hash is SHAKE128 with the key in front, which a sponge
allows (as in KMAC).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.storage.database import Connection

BOUND_TABLES = {
    "galleries": "number",
    "subjects": "gallery",
    "faces": "gallery",
    "crops": "gallery",
    "idempotency_keys": "gallery",
    "removals": "gallery",
    "re_embeddings": "gallery",
    "new_vectors": "gallery",
    "api_keys": "0",
}
"""Each table whose rows are bound, and the expression for the number of the gallery that a row belongs to."""
_UNBOUND_COLUMNS = {
    ("galleries", "revision"),  # a counter that each change raises
    ("faces", "rowid"),  # in PostgreSQL the order in which rows were added; SQLite has it in every table
}
SUM_BYTES = 512
MODULUS = 1 << 8 * SUM_BYTES


class Part(NamedTuple):
    """The rows of a table that belong to one gallery; the gallery 0 has the rows that belong to none."""

    gallery: int
    table: str


@dataclass(slots=True)
class Digest:
    rows: int = 0
    sum: int = 0

    def add(self, other: Digest, sign: int = 1) -> None:
        self.rows, self.sum = self.rows + sign * other.rows, (self.sum + sign * other.sum) % MODULUS


def sum_rows(db: Connection, key: bytes) -> dict[Part, Digest]:
    """Return the digests of the rows as they are."""
    sums: defaultdict[Part, Digest] = defaultdict(Digest)
    for table in BOUND_TABLES:
        for part, row in _rows(db, table):
            sums[part].add(Digest(1, hash_row(key, row)))
    return dict(sums)


def total_of(parts: Mapping[Part, Digest]) -> Digest:
    total = Digest()
    for digest in parts.values():
        total.add(digest)
    return total


def _rows(db: Connection, table: str) -> Iterator[tuple[Part, bytes]]:
    query = f"SELECT {_cells(db, table, bound_columns(db, table))} FROM {table}"  # noqa: S608
    for gallery, types, *cells in db.execute(query):
        yield Part(gallery, table), encode_row(table, types, cells)


def bound_columns(db: Connection, table: str) -> list[str]:
    return [name for name in db.column_names(table) if (table, name) not in _UNBOUND_COLUMNS]


def _cells(db: Connection, table: str, columns: Sequence[str], prefix: str = "") -> str:
    """The gallery, the types and the bytes of a row, as SQL. SQLite keeps any type in any column."""
    names = [f"{prefix}.{name}" if prefix else name for name in columns]
    gallery = BOUND_TABLES[table]
    gallery = f"{prefix}.{gallery}" if prefix and gallery in columns else gallery
    types = " || ' ' || ".join(f"typeof({name})" for name in names)
    return ", ".join([f"CAST({gallery} AS INTEGER)", types, *map(db.cell, names)])


def watch_triggers(db: Connection, tables: Iterable[str]) -> Iterator[str]:
    """Yield the statements that make temporary triggers in SQLite, which call `note_row`."""
    for table in tables:
        columns = bound_columns(db, table)
        for event, prefixes in (("INSERT", ["NEW"]), ("DELETE", ["OLD"]), ("UPDATE", ["OLD", "NEW"])):
            of = f" OF {', '.join(columns)}" if event == "UPDATE" else ""
            calls = [_note_call(db, table, columns, prefix) for prefix in prefixes]
            yield f"DROP TRIGGER IF EXISTS temp.{table}_{event.lower()}_noted"
            yield (
                f"CREATE TEMP TRIGGER {table}_{event.lower()}_noted AFTER {event}{of} ON main.{table} "
                f"BEGIN {' '.join(calls)} END"
            )


def _note_call(db: Connection, table: str, columns: Sequence[str], prefix: str) -> str:
    change = 1 if prefix == "NEW" else -1
    return f"SELECT note_row({change}, '{table}', {_cells(db, table, columns, prefix)});"


def encode_row(table: str, types: str, cells: Sequence[bytes | None]) -> bytes:
    """Join the parts of a row with their lengths, so that no two rows give the same bytes."""
    parts = [table.encode(), types.encode(), *(cell or b"" for cell in cells)]
    return b"".join([b"%d:%b" % (len(part), part) for part in parts])


def hash_row(key: bytes, row: bytes) -> int:
    return int.from_bytes(hashlib.shake_128(key + row).digest(SUM_BYTES), "big")


def to_bytes(number: int) -> bytes:
    return number.to_bytes(SUM_BYTES, "big")
