"""
An append-only log of changes, each entry chained to the one before by its hash.

The chain shows that an entry was changed, removed or put in between. Somebody who can write to the file can make the
whole chain anew, so keep a head (`likeness audit verify` prints it) elsewhere from time to time: `verify` then says
whether that head is still part of the chain. Hash chain as in Schneier and Kelsey, "Secure Audit Logs" (1999), without
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

START = "0" * 64
GUARDS = frozenset({"audit", "audit_is_appended_to", "audit_is_not_changed", "audit_is_not_deleted"})
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many entries, the hash of the last, and the first fault, if any."""

    entries: int
    head: str
    fault: str | None


def append(db: Connection, by: Actor, action: str, gallery: str, **about: Any) -> None:
    """Within the transaction of the change; `about` may name a subject, a face, and how many."""
    entry = {"at": now(), "by": by.name, "action": action, "gallery": gallery, **about, "request_id": by.request_id}
    text = json.dumps({name: value for name, value in entry.items() if value not in ("", None)}, ensure_ascii=False)
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, before = (last["seq"] + 1, last["hash"]) if last else (1, START)
    db.execute("INSERT INTO audit VALUES (?, ?, ?)", (seq, text, chained(before, seq, text)))


def chained(before: str, seq: int, entry: str) -> str:
    return hashlib.sha256(f"{before}\n{seq}\n{entry}".encode()).hexdigest()


class AuditLog:
    """Reads the log; it is written by those who change something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, gallery: str | None = None, subject: str | None = None) -> list[Mapping[str, Any]]:
        """Oldest first."""
        with self._database.reading() as db:
            return entries_of(db, gallery, subject)

    def verify(self, head: str | None = None) -> Verdict:
        """Walk the whole chain; `head`, a hash printed earlier, must be part of it."""
        if fault := self._unguarded():
            return Verdict(0, START, fault)
        last = self._last_written()  # first: what is written meanwhile is no gap
        before, seq = START, 0
        seen = head in (None, START)
        for seq, (row_seq, entry, written) in enumerate(self._rows(), start=1):
            if row_seq != seq:
                return Verdict(seq - 1, before, f"want entry {seq}, found {row_seq}")
            before = chained(before, seq, entry)
            if before != written:
                return Verdict(seq - 1, before, f"entry {seq} was changed, or one before it")
            seen = seen or before == head
        if last > seq:
            return Verdict(seq, before, f"the entries after {seq} are missing")
        return Verdict(seq, before, None if seen else f"no entry has the hash {head}: the log was made anew or cut")

    def _unguarded(self) -> str | None:
        """Whether the table, or what keeps it append-only, was taken away."""
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
            found = db.execute("SELECT seq, entry, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, _PAGE))
            return [(row["seq"], row["entry"], row["hash"]) for row in found]

    def _last_written(self) -> int:
        """SQLite's own memory of the largest number it has given out."""
        with self._database.reading() as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
            return int(row["seq"]) if row else 0


def entries_of(db: Connection, gallery: str | None = None, subject: str | None = None) -> list[Mapping[str, Any]]:
    wanted = {"$.gallery": gallery, "$.subject": subject}
    given = {path: value for path, value in wanted.items() if value is not None}
    where = " AND ".join(f"json_extract(entry, '{path}') = ?" for path in given) or "1"
    found = db.execute(f"SELECT seq, entry, hash FROM audit WHERE {where} ORDER BY seq", tuple(given.values()))
    return [{"seq": row["seq"], **json.loads(row["entry"]), "hash": row["hash"]} for row in found]
