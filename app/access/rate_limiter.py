"""
How often and how much at once a caller may ask, counted in this process.

The library `limits` has the same exact window. In memory it starts a thread at nearly every request to forget old ones,
and waits until that runs: the event loop stood still for 0.4 ms, and while two photos were worked on for 0.8 (one time
in ten 3.3), where this takes 0.03.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.domain.errors import RateLimited
from app.domain.identity import Caller

_WINDOW = 1.0  # seconds
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


class RateLimiter:
    """
    0 is no limit. Not thread-safe: lives on the event loop.

    Exact: in no second, wherever it begins, are more taken than allowed; what is refused does not count.
    """

    def __init__(self, rate: int, concurrent: int) -> None:
        self._rate, self._concurrent = rate, concurrent
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)  # of each caller, when; the oldest first
        self._asked = 0
        self._inside: Counter[str] = Counter()

    def take(self, caller: Caller) -> Allowance | None:
        """Count a request; what is left, or None where nothing limits it."""
        rate = self._rate if caller.rate is None else caller.rate
        if not rate:
            return None
        now = time.monotonic()
        self._forget_now_and_then(now)
        taken = self._taken[caller.name]
        while taken and taken[0] < now - _WINDOW:
            taken.popleft()
        exceeded = len(taken) >= rate
        if not exceeded:
            taken.append(now)
        return Allowance(rate, max(0, rate - len(taken)), taken[0] + _WINDOW - now, exceeded)

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

    def _forget_now_and_then(self, now: float) -> None:
        self._asked += 1
        if self._asked % _FORGET_AFTER == 0:
            for name in [name for name, taken in self._taken.items() if taken[-1] < now - _WINDOW]:
                del self._taken[name]


def whole_seconds(seconds: float) -> str:
    """For a header: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
