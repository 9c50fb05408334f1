from collections.abc import Callable, Iterator

import pytest

from app.runtime.workers import Workers
from tests.support.gate import PATIENCE, Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def workers(gate: Gate) -> Iterator[Callable[..., Workers]]:
    """Makes workers that are closed in the end, when nothing holds them up any more."""
    made: list[Workers] = []

    def make(*, threads: int = 1, max_waiting: int = 1, deadline: float = PATIENCE) -> Workers:
        made.append(Workers("test", threads=threads, max_waiting=max_waiting, deadline=deadline))
        return made[-1]

    yield make
    gate.open()
    for one in made:
        one.close()
