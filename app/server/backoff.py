"""When the supervisor starts the next worker."""

from __future__ import annotations

import time

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0  # seconds between starts that fail


class Backoff:
    """The time of the next start: at once, but after each further start that fails twice as late, up to a minute."""

    def __init__(self) -> None:
        self.failures = 0
        self._next_start = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._next_start

    def reset(self) -> None:
        self.failures, self._next_start = 0, 0.0

    def fail(self) -> float:
        """Count a start that failed; return the seconds until the next."""
        delay = min(_FIRST_DELAY * 2.0 ** min(self.failures, 10), _LONGEST_DELAY)
        self.failures, self._next_start = self.failures + 1, time.monotonic() + delay
        return delay
