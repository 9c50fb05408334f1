"""What a worker owes the other processes that serve with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.services.galleries import Galleries

log = logging.getLogger(__name__)

PAUSE = 1.0


class Siblings:
    """Once a second: what they have erased leaves this process's memory, and `tell` tells them how it stands here."""

    def __init__(self, galleries: Galleries, tell: Callable[[], None]) -> None:
        self._galleries, self._tell = galleries, tell

    async def run(self) -> None:
        """For ever; what fails is told, and tried again the next time."""
        while True:
            try:
                self._tell()
                await self._galleries.refresh_changed()
            except Exception:  # whatever it is: erasing must not end with it
                log.exception("cannot follow the other workers")
            await asyncio.sleep(PAUSE)
