"""Limit how often a caller may compare photos with one subject, counted in this process."""

from __future__ import annotations

import time
from bisect import bisect_right

from app.domain.errors import RateLimited
from app.domain.identity import Caller

WINDOW = 3600.0  # seconds
_CLEAN_UP_EVERY = 1000  # attempts


class SubjectAttempts:
    """
    At most `limit` attempts in any hour, for each caller and subject; 0 means no limit.

    Every attempt counts: a match tells somebody who searches for the template as much as a failure does. Callers with
    the scope admin are not limited, because they may export the template. Not thread-safe: call it on the event loop.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._attempts: dict[tuple[str, str, str], list[float]] = {}  # times, oldest first
        self._counted = 0

    def acquire(self, caller: Caller, gallery_id: str, subject_id: str) -> None:
        """Count an attempt. Raises RateLimited, which is not counted, if there were `limit` in the last hour."""
        if not self._limit or caller.is_admin:
            return
        now = time.monotonic()
        self._clean_up(now)
        attempts = self._attempts.setdefault((caller.name, gallery_id, subject_id), [])
        del attempts[: bisect_right(attempts, now - WINDOW)]
        if len(attempts) >= self._limit:
            message = f"expected at most {self._limit} comparisons with one subject per hour"
            raise RateLimited(message, attempts[0] + WINDOW - now)
        attempts.append(now)

    def _clean_up(self, now: float) -> None:
        self._counted += 1
        if self._counted % _CLEAN_UP_EVERY == 0:
            self._attempts = {key: times for key, times in self._attempts.items() if times[-1] > now - WINDOW}
