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
        """Run until cancelled; a failure is logged, and the next round tries again."""
        while True:
            try:
                await self._galleries.settle_erasures()
            except Exception:  # any: erasing must not end with it
                log.exception("pending erasures could not be finished")
            await asyncio.sleep(INTERVAL)
