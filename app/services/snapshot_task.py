"""Keep copies of large indexes beside the database, so that the next start loads them quickly."""

from __future__ import annotations

import asyncio
import logging

from app.services.galleries import Galleries

log = logging.getLogger(__name__)

INTERVAL = 600.0


class SnapshotTask:
    """Writes what is missing every ten minutes, and when the service stops."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def run(self) -> None:
        """Run until cancelled; a failure is logged, and the next round tries again."""
        try:
            while True:
                await asyncio.sleep(INTERVAL)
                await self._save()
        finally:
            await self._save()

    async def _save(self) -> None:
        try:
            await self._galleries.save_snapshots()
        except Exception:  # any: the service works without
            log.exception("a snapshot could not be written")
