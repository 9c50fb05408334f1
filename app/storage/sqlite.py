"""
One SQLite file: a commit is on disk before it is acknowledged, and a deleted row is nowhere in the file.

`secure_delete` overwrites deleted rows, and after a delete the write-ahead log is emptied, so that no old page keeps
them. SQLite's errors become errors of the domain here. Only this package imports sqlite3.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from app.domain.errors import Overloaded, ServiceError, StorageFull

Connection: TypeAlias = sqlite3.Connection
Row: TypeAlias = sqlite3.Row
UniqueViolation = sqlite3.IntegrityError
"""A value that must be unique exists already."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")


class Database:
    """Thread-safe: one connection, one lock. Several processes may share the file."""

    def __init__(self, path: Path, *, busy_timeout: float = 10.0) -> None:
        """Wait up to `busy_timeout` seconds for another process that writes. Raises ServiceError if it cannot open."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # templates are biometric data; SQLite gives its other files the same mode
        self.path, self._lock = path, threading.Lock()
        with _domain_errors(path):
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=busy_timeout)
            self._db.row_factory = sqlite3.Row
            try:
                for pragma in _PRAGMAS:
                    self._db.execute(f"PRAGMA {pragma}")
            except sqlite3.Error:
                self._db.close()
                raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def data_version(self) -> int:
        """A number that changes when another connection commits; cheap enough to read at every request."""
        with self._lock, _domain_errors(self.path):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction with a consistent view: it does not see what others commit meanwhile."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all or nothing. Raises Overloaded if another process writes for longer than the timeout."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def deleting(self) -> Iterator[Connection]:
        """A writing transaction, after which no copy of the deleted rows is left in any file."""
        with self.writing() as db:
            yield db
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum(self) -> None:
        """Write the file anew, without the pages that deleted rows left empty."""
        self._run("VACUUM")
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._lock, _domain_errors(self.path):
            self._db.execute(begin)
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # if the disk is full, SQLite has rolled back itself
                    self._db.execute("ROLLBACK")
                raise

    def _run(self, statement: str) -> None:
        with self._lock, _domain_errors(self.path):
            self._db.execute(statement)


@contextmanager
def _domain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            raise Overloaded("another process is writing to the gallery") from error
        if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and not os.statvfs(path.parent).f_bavail):
            raise StorageFull("no space is left for the gallery") from error
        raise ServiceError(f"the gallery's file cannot be used: {error}") from error
