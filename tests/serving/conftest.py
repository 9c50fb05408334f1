from collections.abc import Iterator

import pytest

from app.serving import Bounds
from tests.serving.listening import Listening, listening

BOUNDS = Bounds(connections=50, head_bytes=2048, head_seconds=0.4)


@pytest.fixture(autouse=True, scope="session")
def quick_and_quiet() -> Iterator[None]:
    """The native libraries go on writing to the tests' stderr, and nobody waits for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.observability.native.adopt", lambda: None)
        patch.setattr("app.serving._REST_SECONDS", 0.4)
        yield


@pytest.fixture(scope="module")
def running(quick_and_quiet: None) -> Iterator[Listening]:  # noqa: ARG001
    with listening(BOUNDS) as opened:
        yield opened


@pytest.fixture
def server(running: Listening) -> Listening:
    """One for all tests of a file, which do not stop it; nothing was asked of it yet."""
    running.app.asked.clear()
    running.app.metrics.problems.clear()
    running.app.held.clear()
    return running
