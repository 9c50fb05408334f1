"""Connections that are kept from one transaction for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg

from app.storage.postgresql.connection import Connection, Wire


class ConnectionPool:
    """Thread-safe; it has as many connections as there ever were transactions at once."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._lock, self._idle, self._closed = threading.Lock(), list[Connection](), False

    def close(self) -> None:
        """Close the kept connections; those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
        self.drop_idle()

    def begin(self, statement: str) -> Connection:
        """Begin on a kept connection; one that the server has closed meanwhile is replaced by a new one."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept:
            try:
                return _begin_on(kept, statement)
            except psycopg.OperationalError as error:
                if error.sqlstate and not error.sqlstate.startswith("57"):
                    raise
                self.drop_idle()
        return _begin_on(self._connect(), statement)

    def give_back(self, db: Connection) -> None:
        db.wire.answer_timeout = Wire.answer_timeout
        with self._lock:
            if db.is_idle() and not self._closed:
                self._idle.append(db)
                return
        db.close()

    def drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _begin_on(db: Connection, statement: str) -> Connection:
    db.entries, db.head_is_checked, db.keys_read, db.has_erased = [], False, {}, False
    try:
        db.run(statement)
    except BaseException:
        db.close()
        raise
    return db
