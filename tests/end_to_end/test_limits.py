"""How much one key, one address and one request may ask, and that nobody holds the door with a slow hand."""

import contextlib
import time

import httpx2
import pytest

from .contract import answered, problem
from .likeness import at_once
from .operating import Wire, eventually, new_keys, sent_until_refused, with_key
from .server import Server

HEAD_TIMEOUT, UPLOAD_TIMEOUT, CONNECTIONS = 1, 2, 20
JSON = "application/json"


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server without keys and with short patience."""
    settings = {
        "LIKENESS_RATE_LIMIT": "50",
        "LIKENESS_MAX_CONCURRENT": "2",
        "LIKENESS_HEAD_TIMEOUT": str(HEAD_TIMEOUT),
        "LIKENESS_UPLOAD_TIMEOUT": str(UPLOAD_TIMEOUT),
        "LIKENESS_MAX_CONNECTIONS": str(CONNECTIONS),
    }
    with Server(tmp_path_factory.mktemp("strict"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def slowed(guarded):
    """Two keys of three requests a second and of one at once, and one with the service's own limits."""
    return new_keys(
        guarded.data_dir,
        ["--scopes", "verify", "--rate", "3"],
        ["--scopes", "verify", "--rate", "3"],
        ["--scopes", "verify", "--concurrent", "1"],
        ["--scopes", "verify"],
    )


def limits_of(response):
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    return [int(response.headers[name]) for name in names]


def test_every_answer_says_what_is_left(guarded, slowed):
    with with_key(guarded, slowed[0]).http as http:
        answers = [http.get(path) for path in ("/models", "/nothing", "/galleries")]
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    assert [limits_of(answer)[:2] for answer in answers] == [[3, 2], [3, 1], [3, 0]]
    assert all(limits_of(answer)[2] <= 1 and answer.headers["RateLimit-Policy"] for answer in answers)


def test_one_request_too_many_waits_and_keeps_nobody_else_waiting(guarded, slowed):
    with with_key(guarded, slowed[1]).http as http, with_key(guarded, slowed[3]).http as other:
        answers = at_once([lambda: http.get("/models")] * 12)
        late = next(answer for answer in answers if answer.status_code == 429)
        problem(late, 429, "rate_limited")
        assert limits_of(late)[:2] == [3, 0]
        answered(other.get("/models"))
        time.sleep(int(late.headers["Retry-After"]))
        answered(http.get("/models"))


def test_probes_are_not_counted(guarded, slowed):
    with with_key(guarded, slowed[0]).http as http:
        assert {http.get("/healthz").status_code for _ in range(10)} == {200}


def test_a_key_for_one_request_at_once_has_no_second(guarded, slowed):
    with Wire(guarded) as wire, with_key(guarded, slowed[2]).http as http:
        wire.head("POST", "/detect", 9, X_API_Key=slowed[2], Content_Type=JSON)
        assert eventually(lambda: http.get("/models").status_code == 429)
        assert http.get("/models").headers["Retry-After"]
        wire.socket.close()
        assert eventually(lambda: http.get("/models").status_code == 200)


def test_without_keys_an_address_is_limited_whatever_it_calls_itself(strict):
    with httpx2.Client(base_url=strict.url, timeout=20) as http:
        forged = [{"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"} for number in range(150)]
        statuses = [http.get("/nothing", headers=headers).status_code for headers in forged]
    assert set(statuses) == {404, 429}
    time.sleep(1)


def test_without_keys_an_address_has_so_many_requests_at_once(strict):
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Wire(strict)).head("POST", "/detect", 9, Content_Type=JSON)
        assert eventually(lambda: httpx2.get(f"{strict.url}/models").status_code == 429)
    assert eventually(lambda: httpx2.get(f"{strict.url}/models").status_code == 200)


@pytest.mark.parametrize("pieces", [[], [b"GET /models HTTP/1.1\r\n"], [b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n"]])
def test_a_head_that_does_not_come_ends_the_connection(strict, pieces):
    with Wire(strict, patience=HEAD_TIMEOUT + 3) as wire:
        wire.send(*pieces).answer()


def test_a_head_that_drips_ends_the_connection(strict):
    with Wire(strict) as wire:
        wire.send(b"GET /models HTTP/1.1\r\n")

        def drop():
            time.sleep(0.2)
            return b"A: b\r\n"

        assert sent_until_refused(wire, drop, most=120) < 120


GIANT_HEADS = {
    "one header": b"GET /models HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET /models HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 4_000 + b"\r\n",
    "URL": b"GET /models?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no end": b"GET /models HTTP/1.1\r\nA: " + b"a" * 400_000,
}


@pytest.mark.parametrize("head", GIANT_HEADS.values(), ids=GIANT_HEADS)
def test_a_giant_head_is_refused(guarded, head):
    with Wire(guarded) as wire:
        answer = wire.send(head).answer()
    assert answer.split()[1] == b"431"
    assert b"application/problem+json" in answer
    assert b'"headers_too_large"' in answer


@pytest.mark.parametrize("length", [b"Content-Length: 400", b"Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_cut_off(strict, length):
    with Wire(strict) as wire:
        wire.send(
            b"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n"
        )

        def drop():
            time.sleep(0.2)
            return b"1\r\n \r\n"

        assert sent_until_refused(wire, drop, most=200) < 200


def test_a_body_that_does_not_come_is_a_timeout(strict):
    with Wire(strict) as wire:
        answer = wire.head("POST", "/detect", 9, Content_Type=JSON).answer()
    assert answer.split()[1] == b"408"
    assert b'"upload_timeout"' in answer
