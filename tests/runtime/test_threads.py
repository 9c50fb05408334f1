import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.concurrency.worker_pool import WorkerPool
from app.inference.micro_batcher import MicroBatcher

pytestmark = pytest.mark.anyio


def way() -> int:
    return os.sched_getscheduler(threading.get_native_id())


async def test_workers_compute_and_the_event_loop_does_not() -> None:
    workers = WorkerPool("test", threads=1, max_waiting=1, deadline=10)
    assert await workers.run(way) == os.SCHED_BATCH
    assert way() == os.SCHED_OTHER
    workers.close()


async def test_batches_are_computed() -> None:
    async with MicroBatcher(lambda items: [way() for _ in items], max_batch=2, max_waiting=2) as batcher:
        assert await batcher.submit(0) == os.SCHED_BATCH


def test_a_system_that_forbids_it_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    with ThreadPoolExecutor(1, initializer=threads.use_batch_scheduling) as pool:
        assert pool.submit(way).result() == os.SCHED_OTHER
