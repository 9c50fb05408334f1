"""
Join the items that wait while the model is busy into one batch.

Triton and BentoML wait a few milliseconds for a batch to fill, which delays callers of an idle model. This batcher has
no timer: as text-embeddings-inference does, it takes whatever waits. Every path out of a run gives each caller a result
or an exception, since a batcher that loses an error leaves its callers waiting forever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

from app.concurrency.scheduling import use_batch_scheduling
from app.domain.errors import InferenceFailed, LikenessError, Overloaded

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")


class MicroBatcher(Generic[In, Out]):
    """
    Calls `run` on a thread, one batch at a time; an async context manager.

    An idle model starts at once, and the items that arrive while it works form the next batch. A failing batch fails
    only its own callers, each with a separate exception. Items of cancelled callers are dropped.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Sequence[Out]],
        *,
        max_batch: int,
        max_waiting: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_batch` receives the size of every batch that succeeded."""
        self._run, self._on_batch = run, on_batch
        self._max_batch = max_batch
        self._waiting: asyncio.Queue[tuple[In, asyncio.Future[Out]]] = asyncio.Queue(max_waiting)
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        thread = ThreadPoolExecutor(1, thread_name_prefix="batches", initializer=use_batch_scheduling)
        self._worker = asyncio.create_task(self._work(thread), name="micro-batcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        self._worker = None
        while not self._waiting.empty():
            _fail([self._waiting.get_nowait()], Overloaded, "shutting down")

    @property
    def depth(self) -> int:
        """The number of items that wait for the next batch."""
        return self._waiting.qsize()

    async def submit(self, item: In) -> Out:
        """Return the output for `item`. Raises Overloaded if too many wait, InferenceFailed if the run fails."""
        if self._worker is None:
            raise Overloaded("shutting down")
        future: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((item, future))
        except asyncio.QueueFull:
            raise Overloaded(f"{self._waiting.maxsize} faces are already waiting for the network") from None
        return await future

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        try:
            while True:
                await self._run_batch(thread, await self._next_batch())
        finally:
            thread.shutdown(wait=False)

    async def _run_batch(self, thread: ThreadPoolExecutor, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(thread, self._run, [item for item, _ in batch])
            results = list(zip(batch, outputs, strict=True))
        except asyncio.CancelledError:
            _fail(batch, Overloaded, "shutting down")
            raise
        except Exception as error:
            log.exception("a batch of %d items failed", len(batch))
            _fail(batch, InferenceFailed, f"{type(error).__name__}: {error}")
        else:
            for (_, future), output in results:
                if not future.done():
                    future.set_result(output)
            self._on_batch(len(batch))

    async def _next_batch(self) -> list[tuple[In, asyncio.Future[Out]]]:
        """Wait for one item, then take all others that wait, up to the largest batch."""
        while True:
            entries = [await self._waiting.get()]
            while len(entries) < self._max_batch and not self._waiting.empty():
                entries.append(self._waiting.get_nowait())
            if batch := [(item, future) for item, future in entries if not future.done()]:
                return batch


def _fail(batch: Sequence[tuple[In, asyncio.Future[Out]]], kind: type[LikenessError], reason: str) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(kind(reason))  # one each: callers of a shared exception would share its traceback
