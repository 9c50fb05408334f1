"""Keep a process in step with the others that serve the same galleries: workers of one machine, or replicas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.services.galleries import Galleries

log = logging.getLogger(__name__)

INTERVAL = 1.0
REPLICA_INTERVAL = 0.25
"""Replicas have to find out first, and what is erased must be out of their memory within a second."""


class WorkerSync:
    """
    Every `interval` seconds: `publish` the gauges of this process to the other workers, and apply what others have
    changed to the vectors in memory.

    Searches do the latter too; here it is for what was erased, which must not stay in the memory of an idle worker.
    """

    def __init__(self, galleries: Galleries, publish: Callable[[], None], interval: float | None = None) -> None:
        self._galleries, self._publish = galleries, publish
        self._interval = INTERVAL if interval is None else interval

    async def run(self) -> None:
        """Run until cancelled; the first failure of several is logged, and the next round tries again."""
        has_failed = False
        while True:
            try:
                self._publish()
                await self._galleries.update_indexes()
                has_failed = False
            except Exception:  # any: erasing must not end with it
                if not has_failed:
                    log.exception("cannot synchronize with the other workers")
                has_failed = True
            await asyncio.sleep(self._interval)
