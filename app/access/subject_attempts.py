"""Limit how much a caller may learn about one subject, counted in this process."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Set as AbstractSet

from app.domain.errors import RateLimited
from app.domain.identity import Caller

WINDOW = 3600.0  # seconds
_CLEAN_UP_EVERY = 1000  # attempts


def too_many_attempts(limit: int, seconds: float) -> RateLimited:
    return RateLimited(f"expected at most {limit} comparisons with one subject per hour", seconds)


class SubjectAttempts:
    """
    At most `limit` attempts in any hour, for each caller and subject; 0 means no limit.

    Every attempt counts: a match tells somebody who searches for the template as much as a failure does. Callers with
    the scope admin are not limited, because they may export the template. Not thread-safe: call it on the event loop.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._attempts: dict[tuple[str, str, str], list[float]] = {}  # times, oldest first
        self._exhausted: dict[tuple[str, str], set[str]] = {}
        self._counted = 0

    def acquire(self, caller: Caller, gallery_id: str, subject_id: str) -> None:
        """Count an attempt. Raises RateLimited, which is not counted, if there were `limit` in the last hour."""
        if not self.admit(caller, gallery_id, subject_id):
            oldest = self._attempts[caller.name, gallery_id, subject_id][0]
            raise too_many_attempts(self._limit, oldest + WINDOW - time.monotonic())

    def admit(self, caller: Caller, gallery_id: str, subject_id: str) -> bool:
        """Count an attempt and return True; if there were `limit` in the last hour, return False."""
        if self._is_unlimited(caller):
            return True
        now = time.monotonic()
        self._clean_up(now)
        attempts = self._recent(caller, gallery_id, subject_id, now)
        if len(attempts) >= self._limit:
            return False
        attempts.append(now)
        if len(attempts) == self._limit:
            self._exhausted.setdefault((caller.name, gallery_id), set()).add(subject_id)
        return True

    def exhausted(self, caller: Caller, gallery_id: str) -> AbstractSet[str]:
        """Return the subjects for which `admit` would return False."""
        exhausted = self._exhausted.get((caller.name, gallery_id))
        if not exhausted or self._is_unlimited(caller):
            return frozenset()
        now = time.monotonic()
        exhausted -= {each for each in exhausted if len(self._recent(caller, gallery_id, each, now)) < self._limit}
        return frozenset(exhausted)

    def _is_unlimited(self, caller: Caller) -> bool:
        return not self._limit or caller.is_admin

    def _recent(self, caller: Caller, gallery_id: str, subject_id: str, now: float) -> list[float]:
        attempts = self._attempts.setdefault((caller.name, gallery_id, subject_id), [])
        del attempts[: bisect_right(attempts, now - WINDOW)]
        return attempts

    def _clean_up(self, now: float) -> None:
        self._counted += 1
        if self._counted % _CLEAN_UP_EVERY == 0:
            self._attempts = {key: times for key, times in self._attempts.items() if times and times[-1] > now - WINDOW}
            self._exhausted = {
                (name, gallery): kept
                for (name, gallery), subjects in self._exhausted.items()
                if (kept := {each for each in subjects if (name, gallery, each) in self._attempts})
            }
