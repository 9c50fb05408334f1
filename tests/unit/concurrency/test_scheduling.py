"""Threads that compute are batch jobs for the scheduler; the event loop is not."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.concurrency import scheduling
from app.concurrency.worker_pool import WorkerPool
from app.inference.micro_batcher import MicroBatcher


def policy() -> int:
    return os.sched_getscheduler(threading.get_native_id())


@pytest.mark.anyio
async def test_worker_pool_and_micro_batcher_use_batch_scheduling_and_the_event_loop_does_not() -> None:
    pool = WorkerPool("test", threads=1, max_waiting=1, deadline=10)
    async with MicroBatcher[int, int](lambda items: [policy() for _ in items], max_batch=2, max_waiting=2) as batcher:
        assert await pool.run(policy) == await batcher.submit(0) == os.SCHED_BATCH
    assert policy() == os.SCHED_OTHER
    pool.close()


def test_system_that_forbids_it_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    with ThreadPoolExecutor(1, initializer=scheduling.use_batch_scheduling) as pool:
        assert pool.submit(policy).result() == os.SCHED_OTHER
