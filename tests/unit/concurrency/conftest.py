from collections.abc import Callable, Iterator

import pytest

from app.concurrency.worker_pool import WorkerPool
from tests.support.gate import PATIENCE, Gate


@pytest.fixture
def make_pool(gate: Gate) -> Iterator[Callable[..., WorkerPool]]:
    """Makes pools that are closed after the test, when the gate no longer holds their jobs."""
    pools: list[WorkerPool] = []

    def make(*, threads: int = 1, max_waiting: int = 1, deadline: float = PATIENCE) -> WorkerPool:
        pools.append(WorkerPool("test", threads=threads, max_waiting=max_waiting, deadline=deadline))
        return pools[-1]

    yield make
    gate.open()
    for pool in pools:
        pool.close()
