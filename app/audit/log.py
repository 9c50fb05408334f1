"""
An append-only log of changes, each entry chained to the one before by its hash, and bound to the rows of the database.

The chain shows that an entry was changed, removed or inserted; the digest of all rows in the entries (app/storage/
ledger.py) shows that a row was. In an encrypted gallery both end in a signature that needs the key. Otherwise somebody
who can write to the file can compute all of it again, and in any gallery put back an older file as a whole. So store a
head (`likeness audit head`) elsewhere from time to time: `verify` checks that it is still part of the chain. Hash chain
as in Schneier and Kelsey, "Secure Audit Logs" (1999), without their forward-secure keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.clock import now
from app.domain.identity import Actor
from app.storage import ledger
from app.storage.database import Connection, Database
from app.storage.ledger import GENESIS_HASH, chain_hash

_ACCEPT = "audit.accept"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of `verify`: the number of intact entries, the hash of the last one, and the first fault, if any."""

    entries: int
    head: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of the log; `seq` is 0 if there is none."""

    seq: int
    hash: str


@dataclass(slots=True)
class _Chain:
    """The state of a walk along the chain: number and hash of the entry reached, and what was read so far."""

    seq: int = 0
    hash: str = GENESIS_HASH
    state: str | None = None
    fault: str | None = None
    head_found: bool = False


def append(db: Connection, by: Actor, action: str, gallery: str, **details: Any) -> None:
    """
    Append an entry in the transaction of the change; `details` may hold a subject, a face and counts.

    The entry is written when the transaction is committed, with the digest of the rows as they are then.
    """
    entry = {"at": now(), "by": by.name, "action": action, "gallery": gallery, **details, "request_id": by.request_id}
    db.entries.append({name: value for name, value in entry.items() if value not in ("", None)})


class AuditLog:
    """Reads and verifies the log; `append` writes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, gallery: str | None = None, subject: str | None = None) -> list[Mapping[str, Any]]:
        """Return the entries, oldest first."""
        with self._database.reading() as db:
            return entries_of(db, gallery, subject)

    def head(self) -> Head:
        with self._database.reading() as db:
            return head_of(db)

    def lines(self) -> Iterator[str]:
        """Return each entry as a line of JSON, with its text as it was hashed, so that others can check the chain."""
        with self._database.reading() as db:
            for row in db.execute("SELECT seq, entry, hash FROM audit ORDER BY seq"):
                yield json.dumps(dict(row), ensure_ascii=False)

    def verify(self, head: str | None = None) -> Verdict:
        """
        Check the schema, the whole chain and all rows; `head`, a hash printed earlier, must be part of the chain.

        Raises StartError if the gallery is encrypted and its key is not given.
        """
        with self._database.reading() as db:
            if faults := db.schema_differences():
                return Verdict(0, GENESIS_HASH, "; ".join(faults))
            chain = _walk(db, head)
            fault = chain.fault or _end_fault(db, chain.seq) or _head_fault(chain, head) or _row_fault(db, chain)
            return Verdict(chain.seq, chain.hash, fault)

    def accept(self, by: Actor) -> list[str]:
        """Record the rows as they are now as right; return how they differed from their digests."""
        with self._database.writing() as db:
            differences = _row_differences(db)
            ledger.accept_rows(db)
            append(db, by, _ACCEPT, "", differences=differences)
        return differences


def head_of(db: Connection) -> Head:
    row = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return Head(row["seq"], row["hash"]) if row else Head(0, GENESIS_HASH)


def entries_of(db: Connection, gallery: str | None = None, subject: str | None = None) -> list[Mapping[str, Any]]:
    """
    Return the entries about a gallery, a subject, or both, oldest first, also those of the open transaction.

    The digest of all rows is left out, which says nothing about them.
    """
    if db.entries:
        ledger.write_entries(db)
    where, values = _about(gallery, subject)
    rows = db.execute(f"SELECT seq, entry, hash FROM audit WHERE {where} ORDER BY seq", values)
    return [_entry(row) for row in rows]


def newest_of(
    db: Connection, limit: int, before: int | None = None, gallery: str | None = None, subject: str | None = None
) -> list[Mapping[str, Any]]:
    """Return at most `limit` such entries, newest first, only those before the one with the number `before`."""
    where, values = _about(gallery, subject)
    older = "" if before is None else " AND seq < ?"
    numbers = (limit,) if before is None else (before, limit)
    query = f"SELECT seq, entry, hash FROM audit WHERE {where}{older} ORDER BY seq DESC LIMIT ?"
    return [_entry(row) for row in db.execute(query, (*values, *numbers))]


def _about(gallery: str | None, subject: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition for entries about a gallery, a subject, or both, and its values."""
    filters = {"$.gallery": gallery, "$.subject": subject}
    given = {path: value for path, value in filters.items() if value is not None}
    where = " AND ".join(f"json_extract(entry, '{path}') = ?" for path in given) or "TRUE"
    return where, tuple(given.values())


def _entry(row: Any) -> Mapping[str, Any]:
    return {"seq": row["seq"], **_without_state(row["entry"]), "hash": row["hash"]}


def _without_state(entry: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(entry).items() if name != "state"}


def _walk(db: Connection, head: str | None) -> _Chain:
    """Follow the chain to its end, or to the first entry that is not the next one."""
    chain = _Chain(head_found=head in (None, GENESIS_HASH))
    marked = None
    for row in db.execute("SELECT seq, entry, hash FROM audit ORDER BY seq"):
        seq, entry = chain.seq + 1, str(row["entry"])
        if row["seq"] != seq:
            chain.fault = f"expected entry {seq}, got {row['seq']}"
            return chain
        next_hash = chain_hash(chain.hash, seq, entry)
        if next_hash != row["hash"]:
            chain.fault = f"entry {seq} was changed, or one before it"
            return chain
        chain.seq, chain.hash = seq, next_hash
        chain.head_found = chain.head_found or next_hash == head
        if '"state"' in entry or '"audit.' in entry:
            marked = _read_marks(chain, json.loads(entry), marked)
    chain.fault = marked
    return chain


def _read_marks(chain: _Chain, entry: Mapping[str, Any], marked: str | None) -> str | None:
    """Return the fault that an earlier transaction wrote down, unless it was accepted since."""
    if entry.get("action") == ledger.BEGIN and chain.state is not None:
        marked = f"entry {chain.seq} binds the rows anew: the database was made one of an older version"
    if entry.get("action") == ledger.FAULT:
        marked = f"entry {chain.seq} says: {entry.get('problem')}"
    chain.state = entry.get("state", chain.state)
    return None if entry.get("action") == _ACCEPT else marked


def _end_fault(db: Connection, seq: int) -> str | None:
    return f"the entries after {seq} are missing" if db.last_audit_number() > seq else None


def _head_fault(chain: _Chain, head: str | None) -> str | None:
    return None if chain.head_found else f"no entry has the hash {head}: the log was replaced or cut"


def _row_fault(db: Connection, chain: _Chain) -> str | None:
    if db.rows is None:
        return "the database has no digests of its rows"
    db.rows.key.load()
    if db.rows.key.is_missing():
        return "an encryption key is given, but the gallery is not encrypted"
    faults = [*_row_differences(db), *filter(None, [ledger.head_problem(db)])]
    if not faults and chain.state not in (None, db.rows.state()):
        faults = ["the rows are not those of the newest entry"]
    return "; ".join(faults) or None


def _row_differences(db: Connection) -> list[str]:
    return db.rows.differences() if db.rows else []
