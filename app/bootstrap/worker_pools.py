"""The threads that serve requests, in pools of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from app.concurrency.worker_pool import WorkerPool
from app.settings import Settings

_STORE_THREADS = 2  # SQLite writes one at a time
_REPLICA_STORE_THREADS = 8  # with PostgreSQL they mostly wait for its answers
_SEARCH_THREADS = 32  # those without a core wait, and become one batch
MAX_QUEUED = 1024  # faces, or gallery operations: both are short, and photos are refused long before these are


@dataclass(frozen=True, slots=True)
class WorkerPools:
    photo: WorkerPool
    store: WorkerPool
    search: WorkerPool
    """The same as `store` with PostgreSQL, since its threads have connections already."""
    body: WorkerPool


@contextmanager
def open_worker_pools(settings: Settings) -> Iterator[WorkerPools]:
    def pool(name: str, threads: int, max_waiting: int) -> WorkerPool:
        return WorkerPool(name, threads=threads, max_waiting=max_waiting, deadline=settings.deadline)

    is_shared = bool(settings.database)
    with (
        closing(pool("photo", settings.photos_at_once, settings.max_waiting)) as photo,
        closing(pool("store", _REPLICA_STORE_THREADS if is_shared else _STORE_THREADS, MAX_QUEUED)) as store,
        closing(store if is_shared else pool("search", _SEARCH_THREADS, MAX_QUEUED)) as search,
        closing(pool("body", 1, settings.max_waiting)) as body,
    ):
        yield WorkerPools(photo, store, search, body)
