from collections.abc import Iterator

import pytest

from app.server.protocol import ConnectionLimits
from tests.unit.server.listening import Listening, listening

LIMITS = ConnectionLimits(max_connections=50, max_head_bytes=2048, head_timeout=0.4)


@pytest.fixture(autouse=True, scope="session")
def quick_and_quiet() -> Iterator[None]:
    """The native libraries go on writing to the tests' stderr, and nobody waits for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.server.server.redirect_native_stderr", lambda: None)
        patch.setattr("app.server.protocol._DISCARD_SECONDS", 0.4)
        yield


@pytest.fixture(scope="module")
def running(quick_and_quiet: None) -> Iterator[Listening]:  # noqa: ARG001
    with listening(LIMITS) as opened:
        yield opened


@pytest.fixture
def server(running: Listening) -> Listening:
    """One for all tests of a file, which do not stop it; nothing was asked of it yet."""
    running.app.asked.clear()
    running.app.metrics.problems.clear()
    running.app.held.clear()
    return running


@pytest.fixture
def patient(quick_and_quiet: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:  # noqa: ARG001
    """A server on which no timeout ends before the test: what it closes, it closes for another reason."""
    monkeypatch.setattr("app.server.protocol._DISCARD_SECONDS", 60)
    with listening(ConnectionLimits(max_connections=50, max_head_bytes=2048, head_timeout=60)) as opened:
        yield opened
