"""Where blocking work crosses to threads, with a limit on how much may wait and for how long."""

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

_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


def raise_if_cancelled() -> None:
    """
    To be called now and then by work that takes long: raises DeadlineExceeded once nobody waits for its answer, so that
    the thread is free for others. Elsewhere than on Workers it does nothing.
    """
    event = _given_up.get()
    if event is not None and event.is_set():
        raise DeadlineExceeded("nobody waits for this any more")


@dataclass(slots=True)
class Reservation:
    """In the line of Workers, taken together and used one by one."""

    left: int

    def use(self) -> bool:
        """Whether there was one left."""
        if not self.left:
            return False
        self.left -= 1
        return True


class WorkerPool:
    """`threads` at work, at most `max_waiting` jobs behind them; each is given up after `deadline` seconds."""

    def __init__(self, name: str, *, threads: int, max_waiting: int, deadline: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=use_batch_scheduling)
        self._room = threads + max_waiting
        self._deadline = deadline
        self._inside = 0
        self._closed = False

    @property
    def depth(self) -> int:
        """Jobs that run or wait."""
        return self._inside

    @property
    def room(self) -> int:
        """With so many jobs inside, more are refused."""
        return self._room

    @contextmanager
    def places(self, jobs: int) -> Iterator[Reservation]:
        """
        For so many calls of `run`, all of them or none (Overloaded): of jobs that need each other, those that found a
        place would be worked on for nothing.
        """
        self.require_room(jobs)
        self._inside += jobs
        places = Reservation(jobs)
        try:
            yield places
        finally:
            self._inside -= places.left
            places.left = 0

    async def run(
        self,
        work: Callable[[], T],
        *,
        waited: Callable[[float], None] = lambda _: None,
        places: Reservation | None = None,
    ) -> T:
        """
        What `work` returns; `waited` is told the seconds that it stood in line, in one of `places` if it has any.

        Raises Overloaded where the line is full or closed, DeadlineExceeded where the answer comes too late: a job that
        still waits is then dropped, one that runs keeps its thread, and its place, until it ends or comes to a
        `checkpoint`.
        """
        if self._closed:
            raise Overloaded("shutting down")
        if not (places and places.use()):
            self.require_room(1)
            self._inside += 1
        arrived, given_up = time.perf_counter(), threading.Event()

        def job() -> T:
            waited(time.perf_counter() - arrived)
            _given_up.set(given_up)
            return work()

        future = self._pool.submit(contextvars.copy_context().run, job)  # its log lines know the request
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_in(loop, self._leave))
        try:
            return await self._in_time(future)
        finally:
            given_up.set()

    def close(self) -> None:
        """Waits for what runs; what waits is dropped, and its callers are told Overloaded."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _in_time(self, future: Future[T]) -> T:
        try:
            async with asyncio.timeout(self._deadline) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if limit.expired():
                raise DeadlineExceeded(f"no answer within {self._deadline:g} s") from error
            raise  # the work's own
        except asyncio.CancelledError:
            if self._closed:
                raise Overloaded("shutting down") from None
            raise  # the caller left

    def require_room(self, jobs: int) -> None:
        """Raises Overloaded where so many more would be refused now."""
        if self._closed:
            raise Overloaded("shutting down")
        if self._inside + jobs > self._room:
            raise Overloaded(f"{self._inside} jobs are already running or waiting")

    def _leave(self) -> None:
        self._inside -= 1


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
