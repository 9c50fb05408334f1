"""The state of the service between start and stop, read by the middleware and driven by the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Lifecycle:
    """
    After `stop()` requests are still accepted for `delay` seconds, so that load balancers see that the service is not
    ready before it refuses anything; then it drains: new requests are refused, those in flight may finish.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        self._stopped_at: float | None = None
        self._in_flight = 0
        self._limits: set[asyncio.Timeout] = set()

    def stop(self) -> None:
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()

    @property
    def stopping(self) -> bool:
        return self._stopped_at is not None

    @property
    def draining(self) -> bool:
        return self.seconds_draining() is not None

    @property
    def idle(self) -> bool:
        return self._in_flight == 0

    def seconds_draining(self) -> float | None:
        """Return the seconds since draining began, or None before."""
        if self._stopped_at is None:
            return None
        seconds = time.monotonic() - self._stopped_at - self._delay
        return seconds if seconds >= 0 else None

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as in flight while the block runs."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    @contextmanager
    def abortable(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Let `abort()` end the block at once, by its own timeout `limit`."""
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)

    def abort(self) -> None:
        """End all abortable blocks now."""
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        self._limits.clear()
