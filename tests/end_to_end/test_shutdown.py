"""A service that was told to stop says so at once, takes nothing new, and answers what it had taken."""

import base64
import signal
import time

import httpx2
import pytest

from .contract import answered, problem
from .operating import eventually
from .photos import hopper, jpeg
from .server import Server
from .wire import Wire

BODY = b'{"image": "' + base64.b64encode(jpeg(hopper())) + b'"}'
BY_ITSELF = 15.0
"""Seconds for a stop of at most ten on a busy machine; tests/serving/test_stopping.py adds up its parts."""
EXITED = {0, -signal.SIGTERM, 128 + signal.SIGTERM}


def asked(server, path):
    return httpx2.get(f"{server.url}{path}", timeout=5)


def half_sent(server):
    """A request that is under way: its head and some of its body are there."""
    wire = Wire(server, patience=20).head("POST", "/detect", len(BODY), Content_Type="application/json")
    wire.send(BODY[:999])
    assert eventually(lambda: "likeness_requests_in_flight 1" in asked(server, "/metrics").text)
    return wire


@pytest.fixture
def stopping(tmp_path):
    """A server told to stop while a request is under way, and that request."""
    with Server(tmp_path / "data") as server, half_sent(server) as wire:
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: asked(server, "/readyz").status_code == 503, within=2)
        yield server, wire


def test_a_ready_server_says_so(server):
    assert answered(asked(server, "/healthz")) == {"status": "alive"}
    assert answered(asked(server, "/readyz")) == {"status": "ready"}


def test_a_stopping_server_refuses_new_work_and_finishes_the_old(stopping):
    server, wire = stopping
    assert answered(asked(server, "/healthz")) == {"status": "stopping"}
    problem(asked(server, "/readyz"), 503, "overloaded")
    assert "likeness_ready 0.0" in asked(server, "/metrics").text
    refused = asked(server, "/models")
    problem(refused, 503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    answer = wire.send(BODY[999:]).answer()
    assert answer.split()[1] == b"200"
    assert b'"faces"' in answer
    assert server.process.wait(5) in EXITED
    assert "Traceback" not in server.log.read_text()


def test_what_does_not_end_is_cut_off_with_a_problem(tmp_path):
    patient = {"LIKENESS_UPLOAD_TIMEOUT": "60", "LIKENESS_DEADLINE": "60"}
    with Server(tmp_path / "data", **patient) as server, half_sent(server) as wire:
        server.process.send_signal(signal.SIGTERM)
        answer = wire.answer()
        assert server.process.wait(BY_ITSELF) in EXITED
        assert answer.split()[1] == b"503"
        assert b"application/problem+json" in answer
        assert "Traceback" not in server.log.read_text()


def test_idle_connections_do_not_hold_a_stopping_server(tmp_path):
    with Server(tmp_path / "data") as server, httpx2.Client(base_url=server.url) as kept, Wire(server):
        kept.get("/healthz")
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 5


def test_during_the_shutdown_delay_it_goes_on_working_though_not_ready(tmp_path):
    with Server(tmp_path / "data", LIKENESS_SHUTDOWN_DELAY="2") as server:
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: asked(server, "/readyz").status_code == 503, within=1.5)
        answered(asked(server, "/models"))
        assert answered(asked(server, "/healthz")) == {"status": "stopping"}
        assert server.process.wait(10) in EXITED
