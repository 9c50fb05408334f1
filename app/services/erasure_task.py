"""Finish the erasures that a reader of the database has delayed."""

from __future__ import annotations

import asyncio
import logging

from app.services.galleries import Galleries

log = logging.getLogger(__name__)

INTERVAL = 1.0


class ErasureRetry:
    """Tries once a second; while nothing is pending, a round only counts the rows of an empty table."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def run(self) -> None:
        """Run until cancelled; the first failure of several is logged, and the next round tries again."""
        has_failed = False
        while True:
            try:
                await self._galleries.settle_erasures()
                has_failed = False
            except Exception:  # any: erasing must not end with it
                if not has_failed:
                    log.exception("pending erasures could not be finished")
                has_failed = True
            await asyncio.sleep(INTERVAL)
