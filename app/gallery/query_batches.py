"""
Join the searches that wait into one product of matrices.

Like the micro-batcher of the network, this has no timer: a search that finds a free slot runs at once and alone. While
all slots are taken searches wait, and the first of them takes the next free slot, with the others as its batch. So
nobody works longer than for one batch, and a search of an idle index waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from app.domain.errors import ServiceError
from app.gallery.ranking import Hit, Query

LARGEST = 32


class QueryBatches:
    """Thread-safe. `run` is called by the threads of the callers, at most `slots` at a time."""

    def __init__(self, run: Callable[[Sequence[Query]], Sequence[list[Hit]]], *, slots: int) -> None:
        self._run, self._free = run, slots
        self._waiting: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def search(self, query: Query) -> list[Hit]:
        """Return the hits of the query. Raises what `run` raises; in a batch, each caller gets a ServiceError."""
        own = _Waiter(query)
        with self._lock:
            if self._free:
                self._free -= 1
                own.batch = [own]
            else:
                self._waiting.append(own)
        if not own.batch:
            own.woken.wait()
        if own.batch:  # otherwise another caller has searched for this one
            self._work(own.batch)
        if own.error:
            raise own.error
        return own.hits

    def _work(self, batch: Sequence[_Waiter]) -> None:
        try:
            for waiter, hits in zip(batch, self._run([each.query for each in batch]), strict=True):
                waiter.hits = hits
        except BaseException as error:
            if len(batch) == 1:
                raise
            for waiter in batch:  # an exception each: callers of a shared one would share its traceback
                waiter.error = ServiceError(f"the search failed: {type(error).__name__}: {error}")
        finally:
            self._hand_over()
            for waiter in batch[1:]:
                waiter.woken.set()

    def _hand_over(self) -> None:
        """Give the slot to the first that waits, with the others as its batch."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(LARGEST, len(self._waiting)))]
            if not batch:
                self._free += 1
                return
        batch[0].batch = batch
        batch[0].woken.set()


class _Waiter:
    """A caller: its query and result, and the batch that it has to run, if any."""

    def __init__(self, query: Query) -> None:
        self.query, self.woken = query, threading.Event()
        self.batch: list[_Waiter] = []
        self.hits: list[Hit] = []
        self.error: ServiceError | None = None
