"""On a signal: not ready at once, then no new work, and the end when what was under way is done."""

import signal
import time
from collections.abc import Iterator

import pytest
import uvicorn

from app.server import server as server_module
from app.server import supervisor
from app.server.protocol import ConnectionLimits
from app.server.server import DRAIN_SECONDS, Server
from app.server.shutdown import Lifecycle
from tests.unit.server.listening import PATIENCE, Echo, Listening, listening

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
LIMITS = ConnectionLimits(max_connections=50, max_head_bytes=2048, head_timeout=5)


@pytest.fixture
def server() -> Iterator[Listening]:
    """One that the test may stop."""
    with listening(LIMITS) as opened:
        yield opened


def test_a_server_with_nothing_under_way_ends_at_once_though_clients_are_connected(server: Listening) -> None:
    server.connect(GET % b"a").answer()
    server.app.lifecycle.stop()
    assert server.ended_within(DRAIN_SECONDS)


def test_what_is_under_way_is_answered_before_the_end(server: Listening) -> None:
    client = server.connect(GET % b"held")
    server.app.wait_until_asked()
    server.app.lifecycle.stop()
    still_there = not server.ended_within(0.5)
    server.app.held.set()
    assert still_there
    assert client.answer()[0] == 200
    assert server.ended_within(DRAIN_SECONDS)


def test_while_it_stops_it_goes_on_listening_for_those_who_ask_how_it_is(server: Listening) -> None:
    server.connect(GET % b"held")
    server.app.wait_until_asked()
    server.app.lifecycle.stop()
    time.sleep(0.3)
    assert server.connect(GET % b"healthz").answer()[0] == 200


def test_with_a_delay_it_goes_on_for_so_long_though_it_is_idle() -> None:
    with listening(LIMITS, Echo(Lifecycle(0.6))) as server:
        server.app.lifecycle.stop()
        began = time.monotonic()
        answered = server.connect(GET % b"a").answer()[0]
        ended = server.ended_within(PATIENCE)
        took = time.monotonic() - began
    assert (answered, ended) == (200, True)
    assert took >= 0.55


def test_what_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.server.DRAIN_SECONDS", 0.3)
    monkeypatch.setattr("app.server.server._ABORT_SECONDS", 0.1)
    monkeypatch.setattr("app.server.server._CANCEL_SECONDS", 0.2)
    with listening(LIMITS) as server:
        server.connect(GET % b"held")
        server.app.wait_until_asked()
        began = time.monotonic()
        server.app.lifecycle.stop()
        ended = server.ended_within(PATIENCE)
        took = time.monotonic() - began
    assert ended
    assert took >= 0.3


def test_the_stop_takes_less_than_the_ten_seconds_that_docker_gives_it() -> None:
    assert DRAIN_SECONDS + server_module._ABORT_SECONDS + server_module._CANCEL_SECONDS < 10
    assert supervisor._STOP_SECONDS + supervisor._TICK_SECONDS < 10


def test_the_first_signal_stops_and_the_second_ends() -> None:
    lifecycle = Lifecycle(60)
    server = Server(uvicorn.Config(Echo(lifecycle)), lifecycle)
    before = lifecycle.stopping
    server.handle_exit(signal.SIGTERM, None)
    after_one = lifecycle.stopping, server.should_exit
    server.handle_exit(signal.SIGTERM, None)
    assert not before
    assert after_one == (True, False)
    assert server.should_exit


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("delay", "busy", "ends"), [(0, False, True), (0, True, False), (60, False, False), (60, True, False)]
)
async def test_it_ends_when_it_refuses_work_and_has_none(delay: float, busy: bool, ends: bool) -> None:  # noqa: FBT001
    lifecycle = Lifecycle(delay)
    server = Server(uvicorn.Config(Echo(lifecycle)), lifecycle)
    places = [lifecycle.in_flight() for _ in range(busy)]
    for place in places:
        place.__enter__()
    running = await server.on_tick(1)
    lifecycle.stop()
    assert (running, await server.on_tick(1)) == (False, ends)
