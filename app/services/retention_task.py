"""Erase what is too old: subjects past their own expiry, and faces that are older than the retention period."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from app.domain.clock import format_time, now
from app.domain.identity import Actor
from app.domain.ports import Observer
from app.services.galleries import Galleries

log = logging.getLogger(__name__)

RETENTION = Actor("retention")
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 3600.0


class _Sweeper:
    """Erases at regular intervals what has expired."""

    pause: float

    def __init__(self, galleries: Galleries, observer: Observer) -> None:
        self._galleries, self._observer = galleries, observer

    async def run(self) -> None:
        """Sweep until cancelled; a failed sweep is logged, and the next one tries again."""
        while True:
            try:
                await self.sweep()
            except Exception:  # no error may end the task
                log.exception("expired faces could not be erased")
            await asyncio.sleep(self.pause)

    async def sweep(self) -> None:
        faces = await self._erase()
        self._observer.on_expired(faces)
        if faces:
            log.info("%d expired faces were erased", faces)

    async def _erase(self) -> int:
        """Return the number of faces erased."""
        raise NotImplementedError


class SubjectExpiry(_Sweeper):
    """Erases the subjects past their `expires_at`, each minute; an index makes it cheap to find none."""

    pause = 60.0

    async def _erase(self) -> int:
        return await self._galleries.expire_subjects(now(), RETENTION)


class Retention(_Sweeper):
    """Erases faces older than `period`, at least once an hour, and 24 times per period if that is more often."""

    def __init__(self, galleries: Galleries, period: timedelta, observer: Observer) -> None:
        super().__init__(galleries, observer)
        self._period = period
        self.pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, period.total_seconds() / 24))

    async def _erase(self) -> int:
        return await self._galleries.expire(format_time(datetime.now(UTC) - self._period), RETENTION)
