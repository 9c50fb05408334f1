"""Build the graphs of an approximate search in the background."""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing

from app.concurrency.worker_pool import WorkerPool
from app.services.galleries import Galleries

log = logging.getLogger(__name__)

INTERVAL = 10.0
_DAY = 86400.0


class GraphTask:
    """Looks every ten seconds for segments without a graph; stopping it stops the building."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def run(self) -> None:
        """Run until cancelled; a failure is logged, and the next round tries again."""
        with closing(WorkerPool("graph", threads=1, max_waiting=0, deadline=_DAY)) as workers:
            while True:
                try:
                    await self._galleries.build_graphs(workers)
                except Exception:  # any: searches are exact without
                    log.exception("the graph of an index could not be built")
                await asyncio.sleep(INTERVAL)
