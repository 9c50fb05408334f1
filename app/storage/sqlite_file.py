"""Open a SQLite file as the gallery needs it, and turn SQLite's errors into errors of the domain."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.errors import Overloaded, ServiceError, StorageFull
from app.storage.connection import Connection

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "temp_store=MEMORY")


def connect(path: Path, timeout: float) -> Connection:
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=timeout, factory=Connection)
    db.row_factory = sqlite3.Row
    try:
        for pragma in _PRAGMAS:
            _set(db, pragma, time.monotonic() + timeout)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set(db: Connection, pragma: str, deadline: float) -> None:
    """Set an option; SQLite itself does not wait for other processes when it changes the journal mode."""
    while True:
        try:
            db.execute(f"PRAGMA {pragma}")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of the file at the path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def domain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            raise Overloaded("another process is writing to the gallery") from error
        if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and not os.statvfs(path.parent).f_bavail):
            raise StorageFull("no space is left for the gallery") from error
        raise ServiceError(f"the gallery's file cannot be used: {error}") from error
