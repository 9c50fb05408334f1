"""Where the service is between start and stop, for those who ask and those who decide."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Lifecycle:
    """Stopping has two parts: for `delay` seconds requests are still taken, so that balancers may look away first."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        self._stopped_at: float | None = None
        self._under_way = 0
        self._limits: set[asyncio.Timeout] = set()

    def stop(self) -> None:
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()

    @property
    def stopping(self) -> bool:
        return self._stopped_at is not None

    @property
    def refusing(self) -> bool:
        return self.seconds_refusing() is not None

    @property
    def idle(self) -> bool:
        return self._under_way == 0

    def seconds_refusing(self) -> float | None:
        if self._stopped_at is None:
            return None
        seconds = time.monotonic() - self._stopped_at - self._delay
        return seconds if seconds >= 0 else None

    @contextmanager
    def under_way(self) -> Iterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    @contextmanager
    def cuttable(self, limit: asyncio.Timeout) -> Iterator[None]:
        """What is inside ends at `limit`, or when the service cannot wait for it any longer."""
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)

    def cut(self) -> None:
        """End what is still under way."""
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        self._limits.clear()
