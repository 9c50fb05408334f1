"""
Write the entries of a transaction to the audit log: a chain of hashes that ends in a signed head.

The last entry of a transaction that changed rows has their new `state` (app/storage/row_digests.py), so a hash of the
chain stands for all rows of that moment as well. The row of `audit_head` signs the number and hash of the last entry
and the state. Each transaction first checks that head, so that nothing later covers up what somebody else did.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.clock import now
from app.domain.errors import ServiceError
from app.storage.cipher import Cipher
from app.storage.database import Connection, Row
from app.storage.row_digests import RowDigests, has_digests

log = logging.getLogger(__name__)

GENESIS_HASH = "0" * 64
FAULT, BEGIN = "audit.fault", "audit.begin"


def chain_hash(previous_hash: str, seq: int, entry: str) -> str:
    return hashlib.sha256(f"{previous_hash}\n{seq}\n{entry}".encode()).hexdigest()


def start(db: Connection) -> None:
    """Begin a writing transaction."""
    db.entries, db.head_is_checked = [], False
    if db.rows:
        db.rows.start()


def write_entries(db: Connection) -> None:
    """Write the waiting entries, and one more if rows were changed and none says so."""
    if not db.entries and not (db.rows and db.rows.have_changed()):
        return
    if db.rows is None and has_digests(db):
        raise ServiceError("expected a database whose rows are watched, got one that was opened without")
    _check_head(db)
    if db.rows and db.rows.flush():
        _add_missing_entry(db)
        db.entries[-1:] = [{**entry, "state": db.rows.state()} for entry in db.entries[-1:]]
    seq, last_hash = _append(db, db.entries)
    db.entries = []
    if db.rows:
        _store_head(db.rows, db, seq, last_hash)


def _add_missing_entry(db: Connection) -> None:
    """No change stays without an entry; a file that has neither rows nor entries needs none."""
    if not db.entries and (_last(db)[0] or not (db.rows and db.rows.is_empty())):
        db.entries.append({"at": now(), "by": "system", "action": "rows.change"})


def _append(db: Connection, entries: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """Return the number and the hash of the last entry."""
    seq, last_hash = _last(db)
    rows = []
    for entry in entries:
        text = json.dumps(entry, ensure_ascii=False)
        seq, last_hash = seq + 1, chain_hash(last_hash, seq + 1, text)
        rows.append((seq, text, last_hash))
    db.executemany("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)", rows)
    return seq, last_hash


def has_begun(db: Connection) -> bool:
    """
    Return whether the rows are bound already.

    A later migration must not bind them again, which would take rows that somebody else has changed for right.
    """
    found = db.execute("SELECT 1 FROM row_digests UNION ALL SELECT 1 FROM audit_head LIMIT 1")
    return found.fetchone() is not None


def begin(db: Connection) -> None:
    """Bind the rows of a file that has no digests yet, and say so in a log that has entries."""
    if db.rows is None:
        raise ServiceError("expected a file with row digests")
    db.rows.create()
    db.head_is_checked = True
    if _last(db)[0] or not db.rows.is_empty():
        db.entries.append({"at": now(), "by": "system", "action": BEGIN})


def rekey(db: Connection, cipher: Cipher) -> None:
    """Bind the rows with a new key that the cipher encrypts; an entry has to say so in the same transaction."""
    if db.rows:
        db.rows.key.use(cipher)
        _check_head(db)
        db.rows.rekey()


def accept_rows(db: Connection) -> None:
    """Bind the rows as they are now; an entry has to say so in the same transaction."""
    _check_head(db)
    if db.rows:
        db.rows.accept()


def head_problem(db: Connection) -> str | None:
    """Say how the log or the digests differ from the signed head; None if they do not."""
    if db.rows is None:
        return None
    head = db.execute("SELECT seq, hash, state, mac FROM audit_head").fetchone()
    if head is None or head["mac"] != db.rows.sign(_signed_text(head)):
        return "the head of the log was removed or changed"
    if (head["seq"], head["hash"]) != (last := _last(db)):
        return f"expected the log to end with entry {head['seq']}, got {last[0]}, or the end was rewritten"
    if head["state"] != db.rows.state():
        return "the digests of the rows were changed"
    return None


def _check_head(db: Connection) -> None:
    """Put what differs from the head first among the entries."""
    if db.head_is_checked:
        return
    db.head_is_checked = True
    if problem := head_problem(db):
        log.error("the database was changed by another program: %s (see `likeness audit verify`)", problem)
        db.entries.insert(0, {"at": now(), "by": "system", "action": FAULT, "problem": problem})


def _store_head(rows: RowDigests, db: Connection, seq: int, last_hash: str) -> None:
    head: dict[str, Any] = {"seq": seq, "hash": last_hash, "state": rows.state()}
    db.execute(
        "INSERT INTO audit_head (number, seq, hash, state, mac) VALUES (1, ?, ?, ?, ?) ON CONFLICT (number) "
        "DO UPDATE SET seq = excluded.seq, hash = excluded.hash, state = excluded.state, mac = excluded.mac",
        (*head.values(), rows.sign(_signed_text(head))),
    )


def _signed_text(head: Row | dict[str, Any]) -> str:
    return f"{head['seq']}\n{head['hash']}\n{head['state']}"


def _last(db: Connection) -> tuple[int, str]:
    row = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return (row["seq"], row["hash"]) if row else (0, GENESIS_HASH)
