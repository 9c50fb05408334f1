from collections.abc import Callable, Iterator

import pytest

from app.concurrency.worker_pool import WorkerPool
from tests.support.gate import PATIENCE, Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def workers(gate: Gate) -> Iterator[Callable[..., WorkerPool]]:
    """Makes workers that are closed in the end, when nothing holds them up any more."""
    made: list[WorkerPool] = []

    def make(*, threads: int = 1, max_waiting: int = 1, deadline: float = PATIENCE) -> WorkerPool:
        made.append(WorkerPool("test", threads=threads, max_waiting=max_waiting, deadline=deadline))
        return made[-1]

    yield make
    gate.open()
    for one in made:
        one.close()
