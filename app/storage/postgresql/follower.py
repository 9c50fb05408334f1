"""Follow what other processes commit: a thread is notified of each change, and asks four times a second anyway."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from app.domain.errors import StorageUnavailable
from app.storage.postgresql.connection import Wire

log = logging.getLogger(__name__)

CHANNEL = "likeness"
POLL = 0.25
MAX_SILENCE = 5.0
"""Seconds without an answer of the database, after which nobody knows what others have changed."""
_PATIENCE = 5.0  # seconds for the first answer

_STATE = """SELECT seq, hash,
    (SELECT hash FROM audit WHERE seq = %s) AS hash_then,
    (SELECT sum FROM row_digests WHERE gallery = 0 AND relation = 'api_keys') AS api_keys
FROM audit_head"""


@dataclass(frozen=True, slots=True)
class Seen:
    """The end of the audit log, which every change moves, the digest of the API keys, and when they were read."""

    seq: int
    hash: str
    api_keys: bytes
    at: float


class Follower:
    def __init__(self, connect: Callable[[], Wire]) -> None:
        self._connect = connect
        self._seen: Seen | None = None
        self._lost, self._is_following = False, True
        self._answered, self._closed, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def seen(self) -> Seen:
        """Raises StorageUnavailable if the database has not answered for MAX_SILENCE seconds."""
        self._answered.wait(_PATIENCE)
        seen = self._seen
        self._require_history()
        if seen is None or time.monotonic() - seen.at > MAX_SILENCE:
            raise StorageUnavailable("the database does not answer: changes of other processes cannot be followed")
        return seen

    def seconds_behind(self) -> float:
        seen = self._seen
        return float("inf") if seen is None else time.monotonic() - seen.at

    def check_history(self, wire: Wire) -> None:
        """
        Read the state over the connection.

        Raises StorageUnavailable if the database has lost changes that this process has seen, as after the failover to
        a server that lagged behind: then indexes in memory may have faces and revisions that it has not.
        """
        with self._lock:
            at, known = time.monotonic(), self._seen
            row = wire.execute(_STATE.encode(), (known.seq if known else 0,), binary=True).fetchone()
            if row is not None:
                if known and known.seq and row["hash_then"] != known.hash:
                    self._lost = True
                self._seen = Seen(row["seq"], row["hash"], row["api_keys"] or b"", at)
            elif known and known.seq:
                self._lost = True
            else:
                self._seen = Seen(0, "", b"", at)
        self._answered.set()
        self._require_history()

    def _require_history(self) -> None:
        if self._lost:
            raise StorageUnavailable("the database has lost changes that this process has seen: restart the service")

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except (psycopg.Error, OSError, StorageUnavailable) as error:
                if self._is_following:  # a long outage is told once
                    log.warning("changes of other processes cannot be followed: %s", error)
                self._is_following = False
                self._closed.wait(POLL)

    def _follow(self) -> None:
        with self._connect() as wire:
            wire.answer_timeout = MAX_SILENCE
            wire.execute(f"LISTEN {CHANNEL}".encode())
            while not self._closed.is_set():
                self.check_history(wire)
                self._is_following = True
                for _ in wire.notifies(timeout=POLL, stop_after=1):
                    pass
