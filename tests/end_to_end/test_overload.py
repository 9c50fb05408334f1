"""More than can be done: some is done as fast as ever, and the rest is refused at once, in words."""

import statistics
import time

import httpx2
import pytest

from tests.support.background import background, map_in_threads

from .contract import problem
from .likeness import Likeness, part
from .photos import collins, hopper, jpeg
from .server import MIB, Server
from .wire import Wire

CLIENTS, SECONDS = 24, 4.0
PHOTOS = [part("image1", jpeg(hopper())), part("image2", jpeg(collins()))]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server with one thread for photos, and room for two requests behind it."""
    settings = {"LIKENESS_PHOTO_THREADS": "1", "LIKENESS_MAX_WAITING": "5", "LIKENESS_MAX_CONCURRENT": "0"}
    with Server(tmp_path_factory.mktemp("small"), **settings) as running:
        yield running


def asked(server, until):
    """One client after the other's answer: each status, and the seconds that it took."""
    with httpx2.Client(base_url=server.url, timeout=30) as http:
        while time.monotonic() < until:
            began = time.monotonic()
            response = http.post("/verify", files=PHOTOS)
            yield response, time.monotonic() - began
            if response.status_code == 503:
                time.sleep(int(response.headers["Retry-After"]) / 4)


def flood(server):
    until = time.monotonic() + SECONDS
    answers = map_in_threads(lambda _: list(asked(server, until)), range(CLIENTS), CLIENTS)
    return [answer for each in answers for answer in each]


def test_a_flood_is_answered_or_refused_at_once_and_nothing_grows(small):
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


def test_what_would_be_refused_is_refused_before_its_body_is_sent(small):
    def keep_busy(over):
        with httpx2.Client(base_url=small.url, timeout=30) as http:
            while not over.is_set():
                Likeness(http).post("/verify", *PHOTOS)

    with background(keep_busy, threads=4):
        statuses = set()
        deadline = time.monotonic() + 30
        while 503 not in statuses and time.monotonic() < deadline:
            with Wire(small, patience=0.5) as wire:
                wire.head("POST", "/verify", 400_000, Content_Type="application/json", Connection="close")
                statuses.add(first_status(wire))
        assert 503 in statuses


def first_status(wire):
    """None where there was still room, and the server waits for the body."""
    try:
        return int(wire.socket.recv(2**12).split()[1])
    except TimeoutError:
        return None
