"""
The only door to SQLite. One file: a commit is fsynced before it is acknowledged, and what was deleted is nowhere in it.

`secure_delete` overwrites deleted rows, and after a delete the write-ahead log is emptied, so that no old page keeps
them. SQLite's own errors become the domain's here, and only here.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from app.domain.errors import Overloaded, ServiceError, StorageFull

Connection: TypeAlias = sqlite3.Connection
Row: TypeAlias = sqlite3.Row
UniqueViolation = sqlite3.IntegrityError
"""A value that must be unique is there already."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")


class Database:
    """Thread-safe: one connection, one lock. Several processes may share the file."""

    def __init__(self, path: Path, *, patience: float = 10.0) -> None:
        """Waits up to `patience` seconds for another process that writes. Raises ServiceError where it cannot open."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # templates are biometric data; SQLite gives its other files the same mode
        self._lock, self._folder = threading.Lock(), path.parent
        with _domain_errors(self._folder):
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=patience)
            self._db.row_factory = sqlite3.Row
            try:
                for pragma in _PRAGMAS:
                    self._db.execute(f"PRAGMA {pragma}")
            except sqlite3.Error:
                self._db.close()
                raise

    def create(self, package: str) -> None:
        """Make the tables of the `schema.sql` that lies in `package`, where they are not there."""
        schema = resources.files(package).joinpath("schema.sql").read_text()
        with self._lock, _domain_errors(self._folder):
            self._db.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def version(self) -> int:
        """Another number after another connection has committed; cheap enough to ask at every request."""
        with self._lock, _domain_errors(self._folder):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view: what others commit meanwhile is not seen."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing. Raises Overloaded where another process writes for too long."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def deleting(self) -> Iterator[Connection]:
        """As `writing`; then no copy of what was deleted is left."""
        with self.writing() as db:
            yield db
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def rebuild(self) -> None:
        """Write the file anew, without the room that deleted rows left."""
        self._run("VACUUM")
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._lock, _domain_errors(self._folder):
            self._db.execute(begin)
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # where the disk is full, SQLite has rolled back itself
                    self._db.execute("ROLLBACK")
                raise

    def _run(self, statement: str) -> None:
        with self._lock, _domain_errors(self._folder):
            self._db.execute(statement)


@contextmanager
def _domain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            raise Overloaded("another process is writing to the gallery") from error
        if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and not os.statvfs(folder).f_bavail):
            raise StorageFull("no space is left for the gallery") from error
        raise ServiceError(f"the gallery's file cannot be used: {error}") from error
