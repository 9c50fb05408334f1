"""Transactions on one SQLite file, with the digests of its rows: a commit is on disk before it is acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from app.domain.errors import StorageUnavailable
from app.storage import ledger
from app.storage.cipher import Cipher, NoCipher
from app.storage.connection import Connection
from app.storage.file_lock import file_lock
from app.storage.freed_memory import overwriting_freed_memory
from app.storage.row_digests import RowDigests, has_digests
from app.storage.sqlite_file import connect, domain_errors, identity

_WRITE = "BEGIN IMMEDIATE"


class SqliteTransactions:
    """Thread-safe: one connection, one lock. Several processes may share the file."""

    def __init__(self, path: Path, cipher: Cipher | None, busy_timeout: float) -> None:
        """Wait up to `busy_timeout` seconds for another process that writes. Raises ServiceError if it cannot open."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # templates are biometric data; SQLite gives its other files the same mode
        self.path, self._lock, self._cipher = path, threading.Lock(), cipher or NoCipher()
        self._busy_timeout = busy_timeout
        with domain_errors(path):
            self._db = connect(path, busy_timeout)
        self._identity = identity(path)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def bind_rows(self, db: Connection) -> None:
        """Compute the digests of rows in the transaction of the last migration, unless they were computed before."""
        if db.rows is None and has_digests(db) and not ledger.has_begun(db):
            db.rows = RowDigests(db, self._cipher)
            ledger.begin(db)

    def watch_rows(self) -> None:
        """Keep the digests of rows up to date from now on; without this, nothing can be written to the audit log."""
        with self._lock, domain_errors(self.path):
            if has_digests(self._db):
                self._db.rows = RowDigests(self._db, self._cipher)
                self._db.rows.install()

    def data_version(self) -> int:
        """A number that changes when another connection commits; cheap enough to read at every request."""
        self._require_file()
        with self._lock, domain_errors(self.path):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def api_keys_version(self) -> int:
        return self.data_version()

    def seconds_behind(self) -> float:
        return 0.0

    def attempts(self, kind: str, limit: int, window: float) -> None:
        """Each process counts on its own."""

    def vector_table(self, *, hnsw: bool) -> None:
        """A file has none."""

    def index_lock(self, gallery: int) -> AbstractContextManager[None]:  # noqa: ARG002 - one lock for all
        return file_lock(self.path.with_name(f"{self.path.name}-search-lock"), self._busy_timeout)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction with a consistent view: it does not see what others commit meanwhile."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all or nothing. Raises Overloaded if another process writes for longer than the timeout."""
        with self._transaction(_WRITE) as db:
            yield db

    def _require_file(self) -> None:
        """
        Raises StorageUnavailable unless the open file is still the one at its path.

        Without this a removed file would be read and written as before, and be gone with the process.
        """
        if identity(self.path) != self._identity:
            raise StorageUnavailable(f"{self.path.name} was removed or replaced: restore it and restart the service")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._lock, overwriting_freed_memory(), domain_errors(self.path):
            self._require_file()
            self._db.execute(begin)
            try:
                if begin == _WRITE:
                    ledger.start(self._db)
                yield self._db
                self._require_file()
                if begin == _WRITE:
                    ledger.write_entries(self._db)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.entries.clear()
                if self._db.in_transaction:  # if the disk is full, SQLite has rolled back itself
                    self._db.execute("ROLLBACK")
                raise
