"""Count attempts of callers in a table, for all replicas together. A crash of the server empties it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from app.storage.postgresql.connection import Connection

_CLEAN_UP_EVERY = 1000  # attempts

_ADD = """INSERT INTO subject_attempts (kind, caller, gallery, subject)
    SELECT ?, ?, ?, ? WHERE (
        SELECT count(*) FROM subject_attempts
        WHERE kind = ? AND caller = ? AND gallery = ? AND subject = ? AND at > clock_timestamp() - ?
    ) < ?"""
_WAIT = """SELECT extract(epoch FROM min(at) + ? - clock_timestamp())::float8 AS seconds FROM subject_attempts
    WHERE kind = ? AND caller = ? AND gallery = ? AND subject = ? AND at > clock_timestamp() - ?"""
_EXHAUSTED = """SELECT subject FROM subject_attempts
    WHERE kind = ? AND caller = ? AND gallery = ? AND at > clock_timestamp() - ?
    GROUP BY subject HAVING count(*) >= ?"""


class AttemptTable:
    """At most `limit` attempts of a `kind` in any `window` of seconds, for each caller and subject. Thread-safe."""

    def __init__(
        self,
        transaction: Callable[[str], AbstractContextManager[Connection]],
        kind: str,
        limit: int,
        window: float,
    ) -> None:
        """`transaction` opens one with a statement."""
        self._transaction, self._kind, self._limit = transaction, kind, limit
        self._window = timedelta(seconds=window)
        self._counted = 0

    def admit(self, caller: str, gallery_id: str, subject_id: str) -> float | None:
        """Count an attempt and return None; if there were `limit`, return the seconds until the next is admitted."""
        key = (self._kind, caller, gallery_id, subject_id)
        with self._transaction("BEGIN") as db:
            db.execute("SELECT pg_advisory_xact_lock(1, hashtext(?))", ("\n".join(key),))
            if db.execute(_ADD, (*key, *key, self._window, self._limit)).rowcount:
                self._clean_up(db)
                return None
            row = db.execute(_WAIT, (self._window, *key, self._window)).fetchone()
            return max(0.0, row["seconds"] or 0.0) if row else 0.0

    def exhausted(self, caller: str, gallery_id: str) -> frozenset[str]:
        """Return the subjects for which `admit` would not return None."""
        with self._transaction("BEGIN") as db:
            rows = db.execute(_EXHAUSTED, (self._kind, caller, gallery_id, self._window, self._limit))
            return frozenset(row["subject"] for row in rows)

    def _clean_up(self, db: Connection) -> None:
        """Remove what no window holds any more."""
        self._counted += 1
        if self._counted % _CLEAN_UP_EVERY == 0:
            db.execute(
                "DELETE FROM subject_attempts WHERE kind = ? AND at < clock_timestamp() - ?",
                (self._kind, self._window),
            )
