"""
The galleries in PostgreSQL, shared by any number of processes.

Transactions that write take turns (an advisory lock), as they do in SQLite: each continues the audit log and the digest
of all rows. Those that read have a snapshot. A commit is answered when the server has it on its disk, and tells the
other processes (follower.py). What erasing means here is said in data_keys.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg

from app.domain.errors import ServiceError
from app.domain.ports import VectorIndex
from app.storage import ledger
from app.storage.cipher import Cipher, NoCipher
from app.storage.postgresql.attempts import AttemptTable
from app.storage.postgresql.connection import Connection, Wire, open_wire
from app.storage.postgresql.data_keys import KeyTable
from app.storage.postgresql.errors import domain_errors
from app.storage.postgresql.follower import CHANNEL, Follower
from app.storage.postgresql.pool import ConnectionPool
from app.storage.row_digests import RowDigests, has_digests
from app.storage.row_hashes import BOUND_TABLES

log = logging.getLogger(__name__)

_LOCK = 0x4C494B45  # "LIKE" in ASCII
_INDEX_LOCK = 0x4C494B49
_TAKE_TURN = f"SELECT pg_advisory_xact_lock({_LOCK})"
_WRITE = f"BEGIN; {_TAKE_TURN}"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE data_keys IN ACCESS SHARE MODE"
"""The lock comes before the snapshot, so that no reader sees the table of keys while it is written anew."""
_SETTLE = f"BEGIN; SET LOCAL lock_timeout = '500ms'; {_TAKE_TURN}; LOCK TABLE data_keys IN ACCESS EXCLUSIVE MODE"
_LONG_TIMEOUT = 600.0
"""Seconds that a statement may take which erases or writes much at once."""
_SMALL_TABLE = 8 * 2**20
"""Bytes of the table of keys that are written anew before a deletion is answered."""
_REST = 10
"""Writing a larger table anew, which blocks others, takes at most one part in so many of the time."""


class Database:
    """Thread-safe; each transaction has a connection of its own, which is kept for the next one."""

    def __init__(self, url: str, cipher: Cipher | None = None, *, busy_timeout: float = 10.0) -> None:
        """Raises ServiceError if the server cannot be reached."""
        self._url, self._cipher, self._busy_timeout = url, cipher or NoCipher(), busy_timeout
        self._pool, self._open = ConnectionPool(self._connect), threading.local()
        self._watching = False
        self._lock = threading.Lock()
        self._follower: Follower | None = None
        self._next_rewrite = 0.0
        self.keys = KeyTable(self._current)
        with domain_errors():
            self._pool.give_back(self._connect())

    def close(self) -> None:
        with self._lock:
            follower = self._follower
        if follower:
            follower.close()
        self._pool.close()

    def watch_rows(self) -> None:
        """Keep the digests of rows up to date from now on; without this, nothing can be written to the audit log."""
        self._watching = True
        self._pool.drop_idle()

    def bind_rows(self, db: Connection) -> None:
        """Compute the digests of rows in the transaction of the last migration, unless they were computed before."""
        if db.rows is None and has_digests(db) and not ledger.has_begun(db):
            db.rows = RowDigests(db, self._cipher)
            db.rows.install()
            ledger.begin(db)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A writing transaction on a schema that may be empty."""
        with self._transaction(_WRITE, answer_timeout=_LONG_TIMEOUT) as db:
            yield db
            ledger.write_entries(db)

    def data_version(self) -> int:
        return self._following().seen().seq

    def api_keys_version(self) -> bytes:
        return self._following().seen().api_keys

    def seconds_behind(self) -> float:
        return self._following().seconds_behind()

    def attempts(self, kind: str, limit: int, window: float) -> AttemptTable:
        return AttemptTable(self._transaction, kind, limit, window)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._transaction(_READ) as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._writing() as db:
            yield db

    @contextmanager
    def deleting(self, released: Collection[int] = ()) -> Iterator[Connection]:
        with self.replacing(released) as db:
            yield db

    @contextmanager
    def replacing(self, released: Collection[int] = ()) -> Iterator[Connection]:
        with self._writing(answer_timeout=_LONG_TIMEOUT) as db:
            yield db
            self.keys.destroy(db, released)
            has_erased = db.has_erased
        if has_erased:
            self._try_to_settle()

    @contextmanager
    def indexing(self) -> Iterator[Connection]:
        """A transaction that changes nothing but an index of the rows: it takes no turn and leaves no audit entry."""
        with self._transaction("BEGIN", _LONG_TIMEOUT) as db:
            yield db

    def vector_table(self, *, hnsw: bool) -> VectorIndex:
        from app.storage.postgresql.vector_table import VectorTable

        return VectorTable(self, hnsw=hnsw)

    @contextmanager
    def index_lock(self, gallery: int) -> Iterator[None]:
        with self.alone(_LONG_TIMEOUT) as wire:
            wire.execute(f"SELECT pg_advisory_lock({_INDEX_LOCK}, {int(gallery) % 2**31})".encode())
            yield

    def pending_erasures(self) -> int:
        with self.reading() as db:
            return _count_pending(db)

    def settle_erasures(self) -> int:
        if self.pending_erasures():
            self._try_to_settle()
        return self.pending_erasures()

    def settle_after_crash(self) -> None:
        self.settle_erasures()

    def vacuum(self) -> None:
        with self.alone(_LONG_TIMEOUT) as wire:
            for table in (*BOUND_TABLES, "data_keys"):
                wire.execute(f"VACUUM (FULL, ANALYZE) {table}".encode())

    def _try_to_settle(self) -> None:
        try:
            self._settle()
        except ServiceError as error:  # what was deleted is committed all the same
            log.info("an erasure could not be finished yet: %s", error)

    def _settle(self) -> None:
        """Leave the keys of all that was deleted in no file of the database."""
        with self._transaction(_SETTLE, answer_timeout=_LONG_TIMEOUT) as db:
            last = db.execute("SELECT max(number) AS last FROM pending_erasures").fetchone()
            if last is None or last["last"] is None:
                return
            if self._rewrite_keys(db):
                db.execute("DELETE FROM pending_erasures WHERE number <= ?", (last["last"],))

    def _rewrite_keys(self, db: Connection) -> bool:
        """Return whether it was done now; a large table has to wait."""
        start = time.monotonic()
        is_large = self.keys.size(db) > _SMALL_TABLE
        if is_large and start < self._next_rewrite:
            return False
        self.keys.rewrite(db)
        self._next_rewrite = start + _REST * (time.monotonic() - start)
        return True

    @contextmanager
    def _writing(self, answer_timeout: float | None = None) -> Iterator[Connection]:
        with self._transaction(_WRITE, answer_timeout) as db:
            ledger.start(db)
            yield db
            ledger.write_entries(db)
            db.run(f"NOTIFY {CHANNEL}")

    @contextmanager
    def _transaction(self, begin: str, answer_timeout: float | None = None) -> Iterator[Connection]:
        with domain_errors():
            db = self._pool.begin(begin)
            self._open.connection = db
            if answer_timeout:
                db.wire.answer_timeout = answer_timeout
            try:
                yield db
                db.commit()
            except BaseException:
                _roll_back(db)
                raise
            finally:
                self._open.connection = None
                self._pool.give_back(db)

    def _connect(self) -> Connection:
        db = Connection(open_wire(self._url, self._busy_timeout))
        try:
            if self._watching:
                db.rows = RowDigests(db, self._cipher)
                db.rows.install()
            if self._follower:
                self._follower.check_history(db.wire)
        except BaseException:
            db.close()
            raise
        return db

    @contextmanager
    def _current(self) -> Iterator[Connection]:
        """The connection of the transaction that this thread has open, or of a new one that reads."""
        connection: Connection | None = getattr(self._open, "connection", None)
        if connection:
            yield connection
        else:
            with self.reading() as db:
                yield db

    @contextmanager
    def alone(self, answer_timeout: float) -> Iterator[Wire]:
        """A connection without a transaction."""
        with domain_errors(), open_wire(self._url, self._busy_timeout) as wire:
            wire.answer_timeout = answer_timeout
            yield wire

    def _following(self) -> Follower:
        with self._lock:
            if self._follower is None:
                self._follower = Follower(lambda: open_wire(self._url))
            return self._follower


def _roll_back(db: Connection) -> None:
    """Also after an error that has ended the connection."""
    db.entries.clear()
    try:
        db.run("ROLLBACK")
    except psycopg.Error:
        db.close()


def _count_pending(db: Connection) -> int:
    row = db.execute("SELECT count(*) AS pending FROM pending_erasures").fetchone()
    return int(row["pending"]) if row else 0
