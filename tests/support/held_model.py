"""A model whose runs begin and end when the test lets them, and the callers of its batcher."""

import asyncio
import threading
from collections.abc import Sequence

from app.inference.micro_batcher import MicroBatcher

Answer = asyncio.Task[int]
PATIENCE = 10.0
POISON = -1


class HeldModel:
    """Doubles numbers; a batch with POISON in it raises. Each run waits for `let_go`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._begun, self._go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self._begun.release()
        assert self._go.acquire(timeout=PATIENCE), "the test never let the model go"
        if POISON in numbers:
            raise ValueError(f"poison among {len(numbers)}")
        return [2 * number for number in numbers]

    async def begun(self) -> None:
        """Wait until one more run has begun."""
        assert await asyncio.to_thread(self._begun.acquire, timeout=PATIENCE), "the model never began"

    def let_go(self, runs: int = 1) -> None:
        self._go.release(runs)


async def submitted(batcher: MicroBatcher[int, int], *numbers: int) -> list[Answer]:
    """A caller for each number, all of them in line."""
    callers = [asyncio.create_task(batcher.submit(number)) for number in numbers]
    await asyncio.sleep(0)
    return callers


async def answers(*callers: Answer) -> list[int | BaseException]:
    """Return the answer or error of each caller; none may hang."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*callers, return_exceptions=True)
