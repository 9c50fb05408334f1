"""Change a database file as somebody can who may write to it and does not have the encryption key."""

import hashlib
import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.storage.cipher import NoCipher
from app.storage.connection import Connection
from app.storage.ledger import GENESIS_HASH, chain_hash
from app.storage.row_digests import RowDigests


@contextmanager
def without_triggers(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to the file; its triggers are removed meanwhile and made again."""
    with closing(sqlite3.connect(path, factory=Connection)) as db, db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = OFF")
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        yield db
        for _, sql in triggers:
            db.execute(sql)


def run_sql(path: Path, statement: str, *values: object) -> None:
    with without_triggers(path) as db:
        db.execute(statement, values)


def cut_log(db: sqlite3.Connection, entries: int) -> None:
    """Remove the newest entries and every trace of their numbers."""
    db.execute("DELETE FROM audit WHERE seq > (SELECT max(seq) - ? FROM audit)", (entries,))
    db.execute("UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM audit) WHERE name = 'audit'")


def rewrite_chain(db: sqlite3.Connection, find: str, replacement: str) -> None:
    """Replace a text in every entry, and compute the plain hashes again."""
    last = GENESIS_HASH
    for seq, entry in db.execute("SELECT seq, entry FROM audit ORDER BY seq").fetchall():
        text = entry.replace(find, replacement)
        last = chain_hash(last, seq, text)
        db.execute("UPDATE audit SET entry = ?, hash = ? WHERE seq = ?", (text, last, seq))


def sign_again(db: sqlite3.Connection) -> None:
    """Compute digests, state and signature of the present rows and entries, with the key that everybody knows."""
    assert isinstance(db, Connection)
    db.execute("DELETE FROM metadata WHERE name IN ('row_key', 'key_check')")
    rows = RowDigests(db, NoCipher())
    rows.accept()
    seq, entry = db.execute("SELECT seq, entry FROM audit ORDER BY seq DESC LIMIT 1").fetchone() or (0, "{}")
    state, before = rows.state(), db.execute("SELECT hash FROM audit WHERE seq = ?", (seq - 1,)).fetchone()
    text = entry[:-1] + f', "state": "{state}"}}'
    last = chain_hash(before["hash"] if before else GENESIS_HASH, seq, text)
    db.execute("UPDATE audit SET entry = ?, hash = ? WHERE seq = ?", (text, last, seq))
    sign_head(db, state)


def sign_head(db: sqlite3.Connection, state: str | None = None) -> None:
    """Sign the present end of the log with the key that everybody knows."""
    seq, last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone() or (0, GENESIS_HASH)
    if state is None:
        (state,) = db.execute("SELECT state FROM audit_head").fetchone()
    mac = hmac.digest(bytes(32), f"head\n{seq}\n{last}\n{state}".encode(), hashlib.sha256)
    db.execute("UPDATE audit_head SET seq = ?, hash = ?, state = ?, mac = ?", (seq, last, state, mac))
