"""Callers who are slow, or leave in the middle, cost themselves and nobody else."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from tests.end_to_end.contract import verification
from tests.end_to_end.likeness import Likeness
from tests.end_to_end.server import HOST, Server
from tests.support.background import background

from .hostile_forms import form, request
from .opening import client
from .photos import COLLINS, COLLINS_AGAIN
from .wire import read_reply

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
def likeness(server: Server) -> Iterator[Likeness]:
    with client(server) as likeness:
        yield likeness


def connected(server: Server) -> socket.socket:
    return socket.create_connection((HOST, server.port), timeout=60)


@contextmanager
def dripping(server: Server, sent_at_once: int) -> Iterator[list[socket.socket]]:
    """A crowd of callers who have sent that much of a sound request, and then send a byte now and then."""
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
def test_a_crowd_of_slow_callers_does_not_hold_up_others(server, likeness, sent):
    with dripping(server, sent):
        began = time.monotonic()
        for _ in range(5):
            assert verification(likeness.verify(COLLINS, COLLINS_AGAIN))["match"] is True
        assert time.monotonic() - began < 15


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(server):
    with dripping(server, 10) as crowd:
        time.sleep(HEAD_SECONDS)
        assert all(has_ended(caller) for caller in crowd)


def test_a_body_that_comes_byte_by_byte_is_refused_in_words(server):
    with dripping(server, HEAD_END + 500) as crowd:
        replies = [read_reply(caller) for caller in crowd]
    assert {reply and (reply.status, reply.code) for reply in replies} == {(408, "upload_timeout")}


def has_ended(caller: socket.socket) -> bool:
    """Waits for it, as long as the socket's own timeout allows; a reset is an end too."""
    try:
        return caller.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_who_leaves_in_mid_upload_leaves_nothing_behind(server, likeness, share, leave):
    place = HEAD_END + int(share * (len(SOUND) - HEAD_END))
    for _ in range(CROWD):
        caller = connected(server)
        caller.sendall(SOUND[:place])
        LEAVE[leave](caller)
    assert verification(likeness.verify(COLLINS, COLLINS_AGAIN))["match"] is True
    assert until(lambda: in_flight(likeness) == 0)


def test_who_leaves_before_the_answer_leaves_nothing_behind(server, likeness):
    before = answered(likeness)
    for _ in range(CROWD):
        caller = connected(server)
        caller.sendall(SOUND)
        caller.close()
    assert until(lambda: answered(likeness) == before + CROWD)  # the server may still have had to read some of them
    assert until(lambda: in_flight(likeness) == 0)
    assert verification(likeness.verify(COLLINS, COLLINS_AGAIN))["match"] is True


def test_nothing_of_this_is_logged_as_a_fault_of_the_service(server):
    records = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [record for record in records if record["level"] in {"error", "critical"}] == []
    assert [record for record in records if record.get("status", 0) >= 500] == []


def close(caller: socket.socket) -> None:
    caller.close()


def reset(caller: socket.socket) -> None:
    """Without a farewell, as a phone that loses its network."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()


LEAVE: dict[str, Callable[[socket.socket], None]] = {"close": close, "reset": reset}


def in_flight(likeness: Likeness) -> float:
    (number,) = told(likeness, "likeness_requests_in_flight")
    return number


def answered(likeness: Likeness) -> float:
    """Requests to /detect, answered in whatever way."""
    return sum(told(likeness, "likeness_requests_total{", 'route="/detect"'))


def told(likeness: Likeness, metric: str, label: str = "") -> list[float]:
    lines = likeness.http.get("/metrics").text.splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith(metric) and label in line]


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not (is_active := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_active
