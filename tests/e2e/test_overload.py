"""More requests than can be served: some are served as fast as ever, and the rest is refused at once with a problem."""

import statistics
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.answers import problem
from tests.support.api import Api
from tests.support.background import background, map_in_threads
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import MIB, Server
from tests.support.wire import Wire

CLIENTS, SECONDS = 24, 4.0
Timed = tuple[httpx2.Response, float]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one thread for photos, and room for two requests behind it."""
    settings = {"LIKENESS_PHOTO_THREADS": "1", "LIKENESS_MAX_WAITING": "5", "LIKENESS_MAX_CONCURRENT": "0"}
    with Server(tmp_path_factory.mktemp("small") / "data", **settings) as running:
        yield running


def requests(server: Server, until: float) -> Iterator[Timed]:
    """Send one request after the other; yield each answer, and the seconds that it took."""
    with Api.of(server) as api:
        while time.monotonic() < until:
            began = time.monotonic()
            response = api.verify(HOPPER, COLLINS)
            yield response, time.monotonic() - began
            if response.status_code == 503:
                time.sleep(int(response.headers["Retry-After"]) / 4)


def flood(server: Server) -> list[Timed]:
    until = time.monotonic() + SECONDS
    answers = map_in_threads(lambda _: list(requests(server, until)), range(CLIENTS), CLIENTS)
    return [answer for each in answers for answer in each]


def test_a_flood_is_answered_or_refused_at_once_and_nothing_grows(small: Server) -> None:
    first = flood(small)
    before = small.resident()
    answers = first + flood(small)
    done = [took for response, took in answers if response.status_code == 200]
    refused = [(response, took) for response, took in answers if response.status_code != 200]
    assert len(done) > 10
    assert len(refused) > CLIENTS
    for response, _ in refused:
        problem(response, 503, "overloaded")
        assert int(response.headers["Retry-After"]) >= 1
    assert statistics.median(took for _, took in refused) < statistics.median(done) / 2
    assert small.resident() - before < 100 * MIB


def test_a_request_is_refused_before_its_body_is_sent(small: Server) -> None:
    def keep_busy(over: threading.Event) -> None:
        with Api.of(small) as api:
            while not over.is_set():
                api.verify(HOPPER, COLLINS)

    with background(keep_busy, threads=4):
        statuses = set()
        deadline = time.monotonic() + 30
        while 503 not in statuses and time.monotonic() < deadline:
            with Wire(small, patience=0.5) as wire:
                wire.head("POST", "/verify", 400_000, Content_Type="application/json", Connection="close")
                statuses.add(first_status(wire))
        assert 503 in statuses


def first_status(wire: Wire) -> int | None:
    """Return None if there was still room, so that the server waits for the body."""
    try:
        return int(wire.socket.recv(2**12).split()[1])
    except TimeoutError:
        return None
