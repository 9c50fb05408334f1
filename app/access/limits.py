"""How often and how much at once a caller may ask. Counted in this process; the counting itself is `limits`."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.domain.callers import Caller
from app.domain.errors import RateLimited

_FORGET_AFTER = 1000  # requests
CONCURRENT_WAIT = 1.0
"""Seconds that a caller with too many requests under way is asked to wait: nobody can know when one of them ends."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Of `limit` requests a second, `remaining` are left until `reset` seconds from now."""

    limit: int
    remaining: int
    reset: float
    exceeded: bool = False

    def require(self) -> None:
        """Raises RateLimited where this request was one too many."""
        if self.exceeded:
            raise RateLimited(f"want at most {self.limit} requests a second", self.reset)


class Limits:
    """
    0 is no limit. Not thread-safe: lives on the event loop.

    By the exact window of `limits`, which remembers every caller for ever if nobody tells it to forget.
    """

    def __init__(self, rate: int, concurrent: int) -> None:
        self._rate, self._concurrent = rate, concurrent
        self._storage = MemoryStorage()
        self._taken = 0
        self._window = MovingWindowRateLimiter(self._storage)
        self._inside: Counter[str] = Counter()

    def take(self, caller: Caller) -> Allowance | None:
        """Count a request; what is left, or None where nothing limits it."""
        rate = self._rate if caller.rate is None else caller.rate
        if not rate:
            return None
        self._forget_now_and_then()
        item = RateLimitItemPerSecond(rate)
        allowed = self._window.hit(item, caller.name)
        left = self._window.get_window_stats(item, caller.name)
        reset = max(0.0, left.reset_time - time.time())
        return Allowance(rate, left.remaining, reset, exceeded=not allowed)

    @contextmanager
    def inside(self, caller: Caller) -> Iterator[None]:
        """While a request is under way. Raises RateLimited where too many are."""
        most = self._concurrent if caller.concurrent is None else caller.concurrent
        if most and self._inside[caller.name] >= most:
            raise RateLimited(f"want at most {most} requests at once", CONCURRENT_WAIT)
        self._inside[caller.name] += 1
        try:
            yield
        finally:
            self._inside[caller.name] -= 1
            if not self._inside[caller.name]:
                del self._inside[caller.name]

    def _forget_now_and_then(self) -> None:
        self._taken += 1
        if self._taken % _FORGET_AFTER == 0:
            for name in [name for name, moments in self._storage.events.items() if not moments]:
                self._storage.clear(name)


def whole_seconds(seconds: float) -> str:
    """For a header: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
