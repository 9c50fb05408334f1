"""A worker as the supervisor sees it: its process, and what it reports."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from app.server.worker import RETIRE

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class WorkerProcess:
    process: SpawnProcess
    status_pipe: Connection
    ready: bool = False
    """It accepts requests, or did."""
    silent_ticks: int = 0
    retired_at: float | None = None

    @property
    def in_service(self) -> bool:
        return self.ready and self.retired_at is None

    def read_status(self) -> bool:
        """Return whether it has just begun to accept requests."""
        was_ready = self.ready
        self.silent_ticks += 1
        try:
            while self.status_pipe.poll():
                self.status_pipe.recv()
                self.ready, self.silent_ticks = True, 0
        except EOFError:  # the worker has ended
            pass
        return self.ready and not was_ready

    def retire(self) -> None:
        """Let it answer what it has accepted, and end."""
        log.info("worker %s is replaced; it ends when its connections have", self.process.pid)
        self.retired_at = time.monotonic()
        os.kill(self.process.pid or 0, RETIRE)
