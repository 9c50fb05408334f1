"""Keep a worker in step with the other workers that serve the same gallery."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.services.galleries import Galleries

log = logging.getLogger(__name__)

INTERVAL = 1.0


class WorkerSync:
    """
    Once a second: `publish` this worker's gauges to the others, and apply their changes to the vectors in memory.

    Searches do the latter too; here it is for what was erased, which must not stay in the memory of an idle worker.
    """

    def __init__(self, galleries: Galleries, publish: Callable[[], None]) -> None:
        self._galleries, self._publish = galleries, publish

    async def run(self) -> None:
        """Run until cancelled; a failure is logged, and the next round tries again."""
        while True:
            try:
                self._publish()
                await self._galleries.update_indexes()
            except Exception:  # any: erasing must not end with it
                log.exception("cannot synchronize with the other workers")
            await asyncio.sleep(INTERVAL)
