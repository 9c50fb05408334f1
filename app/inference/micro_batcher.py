"""
Join the requests that wait while the model is busy into one run of it.

How others do it: Triton and BentoML wait a few milliseconds for a batch to fill, which the caller of an idle model pays
for; text-embeddings-inference takes whatever waits, and so does this: no timer. The worst that users report is a
batcher that swallows an error and leaves its callers hanging; here every way out of a run answers each caller.
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
    Runs `run` on a thread, one batch at a time; an async context manager.

    An idle model starts at once, and what arrives while it works is the next batch. A failing batch fails its own
    callers only, each with an exception of its own; callers that left are dropped.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Sequence[Out]],
        *,
        max_batch: int,
        max_waiting: int,
        ran: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`ran` is told the size of every batch that the model answered."""
        self._run, self._ran = run, ran
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
        """Items that wait for the next batch."""
        return self._waiting.qsize()

    async def submit(self, item: In) -> Out:
        """The model's answer for `item`. Raises Overloaded where too many wait, InferenceFailed where the run fails."""
        if self._worker is None:
            raise Overloaded("shutting down")
        future: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((item, future))
        except asyncio.QueueFull:
            raise Overloaded(f"{self._waiting.maxsize} faces already wait for the network") from None
        return await future

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        try:
            while True:
                await self._run_in(thread, await self._next_batch())
        finally:
            thread.shutdown(wait=False)

    async def _run_in(self, thread: ThreadPoolExecutor, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(thread, self._run, [item for item, _ in batch])
            answers = list(zip(batch, outputs, strict=True))
        except asyncio.CancelledError:
            _fail(batch, Overloaded, "shutting down")
            raise
        except Exception as error:
            log.exception("a batch of %d failed", len(batch))
            _fail(batch, InferenceFailed, f"{type(error).__name__}: {error}")
        else:
            for (_, future), output in answers:
                if not future.done():
                    future.set_result(output)
            self._ran(len(batch))

    async def _next_batch(self) -> list[tuple[In, asyncio.Future[Out]]]:
        """Wait for one item, then take what else is there."""
        while True:
            entries = [await self._waiting.get()]
            while len(entries) < self._max_batch and not self._waiting.empty():
                entries.append(self._waiting.get_nowait())
            if batch := [(item, future) for item, future in entries if not future.done()]:
                return batch


def _fail(batch: Sequence[tuple[In, asyncio.Future[Out]]], kind: type[LikenessError], reason: str) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(kind(reason))  # one each: a shared exception would share its traceback
