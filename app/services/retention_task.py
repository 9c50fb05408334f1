"""Templates are kept for as long as the operator said, and no longer."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from app.domain.clock import written
from app.domain.identity import Actor
from app.domain.ports import Observer
from app.services.galleries import Galleries

log = logging.getLogger(__name__)

RETENTION = Actor("retention")
_OFTEN, _SELDOM = 1.0, 3600.0


class Retention:
    """Erases what is older than `kept` now and then: at least once an hour, more often where `kept` is short."""

    def __init__(self, galleries: Galleries, kept: timedelta, observer: Observer) -> None:
        self._galleries, self._kept, self._observer = galleries, kept, observer
        self._pause = min(_SELDOM, max(_OFTEN, kept.total_seconds() / 24))

    async def run(self) -> None:
        """For ever; a sweep that fails is told, and tried again at its next turn."""
        while True:
            try:
                await self.sweep()
            except Exception:  # whatever it is: erasing must not end with it
                log.exception("what has expired could not be erased")
            await asyncio.sleep(self._pause)

    async def sweep(self) -> None:
        faces = await self._galleries.expire(written(datetime.now(UTC) - self._kept), RETENTION)
        self._observer.expired(faces)
        if faces:
            log.info("%d faces have expired and are erased", faces)
