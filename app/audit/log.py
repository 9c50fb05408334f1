"""
An append-only log of changes, each entry chained to the one before by its hash.

The chain shows that an entry was changed, removed or inserted. Somebody who can write to the file can compute the whole
chain again, so store a head (`likeness audit verify` prints it) elsewhere from time to time: `verify` then checks that
this head is still part of the chain. Hash chain as in Schneier and Kelsey, "Secure Audit Logs" (1999), without
their forward-secure keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.clock import now
from app.domain.identity import Actor
from app.storage.sqlite import Connection, Database

GENESIS_HASH = "0" * 64
GUARDS = frozenset({"audit", "audit_is_appended_to", "audit_is_not_changed", "audit_is_not_deleted"})
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of `verify`: the number of intact entries, the hash of the last one, and the first fault, if any."""

    entries: int
    head: str
    fault: str | None


def append(db: Connection, by: Actor, action: str, gallery: str, **details: Any) -> None:
    """Append an entry in the transaction of the change; `details` may hold a subject, a face and counts."""
    entry = {"at": now(), "by": by.name, "action": action, "gallery": gallery, **details, "request_id": by.request_id}
    text = json.dumps({name: value for name, value in entry.items() if value not in ("", None)}, ensure_ascii=False)
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous_hash = (last["seq"] + 1, last["hash"]) if last else (1, GENESIS_HASH)
    row = (seq, text, chain_hash(previous_hash, seq, text))
    db.execute("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)", row)


def chain_hash(previous_hash: str, seq: int, entry: str) -> str:
    return hashlib.sha256(f"{previous_hash}\n{seq}\n{entry}".encode()).hexdigest()


class AuditLog:
    """Reads and verifies the log; `append` writes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, gallery: str | None = None, subject: str | None = None) -> list[Mapping[str, Any]]:
        """Return the entries, oldest first."""
        with self._database.reading() as db:
            return entries_of(db, gallery, subject)

    def verify(self, head: str | None = None) -> Verdict:
        """Check the whole chain; `head`, a hash printed earlier, must be part of it."""
        if fault := self._missing_guards():
            return Verdict(0, GENESIS_HASH, fault)
        last = self._last_written()  # read first, so that an entry written meanwhile is not a gap
        last_hash, seq = GENESIS_HASH, 0
        head_found = head in (None, GENESIS_HASH)
        for seq, (row_seq, entry, stored_hash) in enumerate(self._rows(), start=1):
            if row_seq != seq:
                return Verdict(seq - 1, last_hash, f"expected entry {seq}, got {row_seq}")
            last_hash = chain_hash(last_hash, seq, entry)
            if last_hash != stored_hash:
                return Verdict(seq - 1, last_hash, f"entry {seq} was changed, or one before it")
            head_found = head_found or last_hash == head
        if last > seq:
            return Verdict(seq, last_hash, f"the entries after {seq} are missing")
        fault = None if head_found else f"no entry has the hash {head}: the log was replaced or cut"
        return Verdict(seq, last_hash, fault)

    def _missing_guards(self) -> str | None:
        """Say which of the table, its index and its triggers were removed; None if all are there."""
        with self._database.reading() as db:
            found = {row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'audit'")}
        missing = sorted(GUARDS - found)
        return f"the database has no {', '.join(missing)}" if missing else None

    def _rows(self) -> Iterator[tuple[int, str, str]]:
        after = -(2**63)
        while page := self._page(after):
            yield from page
            after = page[-1][0]

    def _page(self, after: int) -> list[tuple[int, str, str]]:
        with self._database.reading() as db:
            rows = db.execute("SELECT seq, entry, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, _PAGE))
            return [(row["seq"], row["entry"], row["hash"]) for row in rows]

    def _last_written(self) -> int:
        """Return the largest number that SQLite has ever assigned, which it keeps when rows are deleted."""
        with self._database.reading() as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
            return int(row["seq"]) if row else 0


def entries_of(db: Connection, gallery: str | None = None, subject: str | None = None) -> list[Mapping[str, Any]]:
    """Return the entries about a gallery, a subject, or both, oldest first."""
    filters = {"$.gallery": gallery, "$.subject": subject}
    given = {path: value for path, value in filters.items() if value is not None}
    where = " AND ".join(f"json_extract(entry, '{path}') = ?" for path in given) or "1"
    rows = db.execute(f"SELECT seq, entry, hash FROM audit WHERE {where} ORDER BY seq", tuple(given.values()))
    return [{"seq": row["seq"], **json.loads(row["entry"]), "hash": row["hash"]} for row in rows]
