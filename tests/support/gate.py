"""Work for a thread that ends when the test lets it."""

import asyncio
import threading

from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import Overloaded

PATIENCE = 10.0


class Gate:
    """Work that ends when it is opened."""

    def __init__(self) -> None:
        self._begun, self._open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self._begun.set()
        assert self._open.wait(PATIENCE), "the test never opened the gate"
        return threading.current_thread().name

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, PATIENCE), "the work never began"

    def open(self) -> None:
        self._open.set()


async def free_again(one: WorkerPool) -> None:
    """Wait until the workers take a job; the event loop tells them about a free place."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await one.run(lambda: None)
            except Overloaded:
                await asyncio.sleep(0.001)
