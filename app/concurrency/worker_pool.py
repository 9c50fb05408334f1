"""Run blocking work on threads, with bounds on how many jobs wait and for how long."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from app.concurrency.scheduling import use_batch_scheduling
from app.domain.errors import DeadlineExceeded, Overloaded

T = TypeVar("T")

_cancelled: ContextVar[threading.Event | None] = ContextVar("cancelled", default=None)


def raise_if_cancelled() -> None:
    """
    Raise DeadlineExceeded once nobody waits for the result of this job, so that its thread is free for others.

    Long work calls it now and then. Outside a WorkerPool it does nothing.
    """
    event = _cancelled.get()
    if event is not None and event.is_set():
        raise DeadlineExceeded("the caller no longer waits for this job")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside, `raise_if_cancelled` does nothing: for work whose result other jobs use too."""
    token = _cancelled.set(None)
    try:
        yield
    finally:
        _cancelled.reset(token)


@dataclass(slots=True)
class Reservation:
    """Capacity of a WorkerPool that was taken for several jobs together and is used job by job."""

    left: int

    def use(self) -> bool:
        """Take one job's capacity; return whether there was any left."""
        if not self.left:
            return False
        self.left -= 1
        return True


class WorkerPool:
    """`threads` threads with at most `max_waiting` jobs queued; a job is abandoned after `deadline` seconds."""

    def __init__(self, name: str, *, threads: int, max_waiting: int, deadline: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=use_batch_scheduling)
        self._capacity = threads + max_waiting
        self._deadline = deadline
        self._occupied = 0
        self._closed = False

    @property
    def depth(self) -> int:
        """The number of jobs that run, wait or are reserved."""
        return self._occupied

    @property
    def capacity(self) -> int:
        """The depth from which jobs are refused."""
        return self._capacity

    @contextmanager
    def reserve(self, jobs: int) -> Iterator[Reservation]:
        """
        Take capacity for `jobs` calls of `run`, for all of them or for none. Raises Overloaded.

        Without it, some of the jobs of one request could be refused, and the work on the others would be wasted.
        """
        self.require_capacity(jobs)
        self._occupied += jobs
        reservation = Reservation(jobs)
        try:
            yield reservation
        finally:
            self._occupied -= reservation.left
            reservation.left = 0

    async def run(
        self,
        work: Callable[[], T],
        *,
        on_start: Callable[[float], None] = lambda _: None,
        reservation: Reservation | None = None,
    ) -> T:
        """
        Return the result of `work`; `on_start` receives the seconds that the job waited in the queue.

        Raises Overloaded if the queue is full or closed, DeadlineExceeded if the result comes too late. A late job that
        still waits is dropped; one that runs keeps its thread and its capacity until it ends or calls
        `raise_if_cancelled`.
        """
        if self._closed:
            raise Overloaded("shutting down")
        if not (reservation and reservation.use()):
            self.require_capacity(1)
            self._occupied += 1
        submitted, cancelled = time.perf_counter(), threading.Event()

        def job() -> T:
            on_start(time.perf_counter() - submitted)
            _cancelled.set(cancelled)
            return work()

        future = self._pool.submit(contextvars.copy_context().run, job)  # the context carries the request id to logs
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_in(loop, self._release))
        try:
            return await self._within_deadline(future)
        finally:
            cancelled.set()

    def require_capacity(self, jobs: int) -> None:
        """Raises Overloaded if `jobs` more would be refused now."""
        if self._closed:
            raise Overloaded("shutting down")
        if self._occupied + jobs > self._capacity:
            raise Overloaded(f"{self._occupied} jobs are already running or waiting")

    def close(self) -> None:
        """Wait for running jobs; callers of waiting ones get Overloaded."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _within_deadline(self, future: Future[T]) -> T:
        try:
            async with asyncio.timeout(self._deadline) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if limit.expired():
                raise DeadlineExceeded(f"no answer within {self._deadline:g} s") from error
            raise  # raised by the work itself
        except asyncio.CancelledError:
            if self._closed:
                raise Overloaded("shutting down") from None
            raise  # the caller has left

    def _release(self) -> None:
        self._occupied -= 1


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
