"""A service that is told to stop takes no new requests, and answers those that it has taken."""

import base64
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from tests.support.answers import answered, problem
from tests.support.commands import eventually
from tests.support.photos import HOPPER
from tests.support.server import Server
from tests.support.wire import Wire

BODY = b'{"image": "' + base64.b64encode(HOPPER) + b'"}'
STOPPED_WITHIN = 15.0
"""Seconds for a stop of at most ten on a busy machine; the tests of app.server add up its parts."""
EXITED = {0, *(status for each in (signal.SIGTERM, signal.SIGHUP) for status in (-each, 128 + each))}


class Stopping(NamedTuple):
    server: Server
    wire: Wire


def get(server: Server, path: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}{path}", timeout=5)


def half_sent(server: Server) -> Wire:
    """Send the head and some of the body of a request."""
    wire = Wire(server, patience=20).head("POST", "/detect", len(BODY), Content_Type="application/json")
    wire.send(BODY[:999])
    assert eventually(lambda: "likeness_requests_in_flight 1" in get(server, "/metrics").text)
    return wire


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def stopping(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stopping]:
    """A server told to stop while a request is under way, and that request."""
    with Server(tmp_path / "data") as server, half_sent(server) as wire:
        server.process.send_signal(request.param)
        assert eventually(lambda: get(server, "/readyz").status_code == 503, within=2)
        yield Stopping(server, wire)


def test_a_stopping_server_refuses_new_requests_and_finishes_the_old(stopping: Stopping) -> None:
    server, wire = stopping
    assert answered(get(server, "/healthz")) == {"status": "stopping"}
    problem(get(server, "/readyz"), 503, "overloaded")
    assert "likeness_ready 0.0" in get(server, "/metrics").text
    refused = get(server, "/models")
    problem(refused, 503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    answer = wire.send(BODY[999:]).answer()
    assert answer.split()[1] == b"200"
    assert b'"faces"' in answer
    assert server.process.wait(5) in EXITED
    assert "Traceback" not in server.log.read_text()


def test_a_request_that_does_not_end_is_cut_off_with_a_problem(tmp_path: Path) -> None:
    patient = {"LIKENESS_UPLOAD_TIMEOUT": "60", "LIKENESS_DEADLINE": "60"}
    with Server(tmp_path / "data", **patient) as server, half_sent(server) as wire:
        server.process.send_signal(signal.SIGTERM)
        answer = wire.answer()
        assert server.process.wait(STOPPED_WITHIN) in EXITED
        assert answer.split()[1] == b"503"
        assert b"application/problem+json" in answer
        assert "Traceback" not in server.log.read_text()
