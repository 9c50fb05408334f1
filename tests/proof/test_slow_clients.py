"""Clients that are slow, or leave in the middle, do not affect others."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from tests.support.answers import verification
from tests.support.api import Api
from tests.support.background import background
from tests.support.clock import unhurried
from tests.support.commands import eventually
from tests.support.photos import COLLINS, COLLINS_AGAIN
from tests.support.server import HOST, Server
from tests.support.wire import read_reply

from .hostile_forms import form, request

HEAD_SECONDS, UPLOAD_SECONDS = 2, 3
CROWD = 40
SOUND = request("/detect", form([(b'Content-Disposition: form-data; name="image"; filename="a"', COLLINS)]))
HEAD_END = SOUND.index(b"\r\n\r\n") + 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("slow") / "data"
    patience = {"LIKENESS_HEAD_TIMEOUT": str(HEAD_SECONDS), "LIKENESS_UPLOAD_TIMEOUT": str(UPLOAD_SECONDS)}
    with Server(data, **patience) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    with Api.of(server) as api:
        yield api


def connected(server: Server) -> socket.socket:
    return socket.create_connection((HOST, server.port), timeout=60)


@contextmanager
def dripping(server: Server, sent_at_once: int) -> Iterator[list[socket.socket]]:
    """Open connections that have sent that much of a correct request, and then send a byte now and then."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(CROWD)]
        for caller in crowd:
            caller.sendall(SOUND[:sent_at_once])
        with background(partial(_drip, crowd, sent_at_once)):
            yield crowd


def _drip(crowd: list[socket.socket], place: int, over: threading.Event) -> None:
    while not over.wait(0.2):
        place += 1
        for caller in crowd:
            with contextlib.suppress(OSError):
                caller.sendall(SOUND[place : place + 1])


@pytest.mark.parametrize("sent", [10, HEAD_END + 500], ids=["in the head", "in the body"])
def test_a_crowd_of_slow_callers_does_not_hold_up_others(server: Server, api: Api, sent: int) -> None:
    with dripping(server, sent):
        began = unhurried()
        for _ in range(5):
            assert verification(api.verify(COLLINS, COLLINS_AGAIN))["match"] is True
        assert unhurried() - began < 15


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(server: Server) -> None:
    with dripping(server, 10) as crowd:
        time.sleep(HEAD_SECONDS)
        assert all(has_ended(caller) for caller in crowd)


def test_a_body_that_comes_byte_by_byte_is_refused_with_a_problem(server: Server) -> None:
    with dripping(server, HEAD_END + 500) as crowd:
        replies = [read_reply(caller) for caller in crowd]
    assert {reply and (reply.status, reply.code) for reply in replies} == {(408, "upload_timeout")}


def has_ended(caller: socket.socket) -> bool:
    """Wait for the end, at most for the timeout of the socket; a reset is an end too."""
    try:
        return caller.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_in_mid_upload_leaves_nothing_behind(
    server: Server, api: Api, share: float, leave: str
) -> None:
    place = HEAD_END + int(share * (len(SOUND) - HEAD_END))
    for _ in range(CROWD):
        caller = connected(server)
        caller.sendall(SOUND[:place])
        LEAVE[leave](caller)
    assert verification(api.verify(COLLINS, COLLINS_AGAIN))["match"] is True
    assert eventually(lambda: in_flight(api) == 0, within=30)


def test_a_client_that_leaves_before_the_answer_leaves_nothing_behind(server: Server, api: Api) -> None:
    before = answered(api)
    for _ in range(CROWD):
        caller = connected(server)
        caller.sendall(SOUND)
        caller.close()
    assert eventually(
        lambda: answered(api) == before + CROWD, within=30
    )  # the server may still have had to read some of them
    assert eventually(lambda: in_flight(api) == 0, within=30)
    assert verification(api.verify(COLLINS, COLLINS_AGAIN))["match"] is True


def test_none_of_this_is_logged_as_an_error_of_the_service(server: Server) -> None:
    records = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [record for record in records if record["level"] in {"error", "critical"}] == []
    assert [record for record in records if record.get("status", 0) >= 500] == []


def close(caller: socket.socket) -> None:
    caller.close()


def reset(caller: socket.socket) -> None:
    """Close without a FIN, as a phone does that loses its network."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()


LEAVE: dict[str, Callable[[socket.socket], None]] = {"close": close, "reset": reset}


def in_flight(api: Api) -> float:
    return api.metric("likeness_requests_in_flight")


def answered(api: Api) -> float:
    """Return the number of requests to /detect that have any answer."""
    lines = api.http.get("/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("likeness_requests_total{") and 'route="/detect"' in line]
    return sum(float(line.split()[-1]) for line in counted)
