"""Limits of one key and of one address, and time-outs for slow clients."""

import contextlib
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.answers import answered, problem
from tests.support.api import at_once
from tests.support.commands import eventually, new_keys, with_key
from tests.support.server import Server
from tests.support.wire import Wire, sent_until_refused

HEAD_TIMEOUT, UPLOAD_TIMEOUT = 1, 2
JSON = "application/json"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without keys and with short time-outs."""
    settings = {
        "LIKENESS_RATE_LIMIT": "50",
        "LIKENESS_MAX_CONCURRENT": "2",
        "LIKENESS_HEAD_TIMEOUT": str(HEAD_TIMEOUT),
        "LIKENESS_UPLOAD_TIMEOUT": str(UPLOAD_TIMEOUT),
        "LIKENESS_MAX_CONNECTIONS": "20",
    }
    with Server(tmp_path_factory.mktemp("strict") / "data", **settings) as running:
        yield running


def test_a_key_over_its_rate_has_to_wait_and_others_do_not(guarded: Server) -> None:
    slow, free = new_keys(guarded.data_dir, ["--scopes", "verify", "--rate", "3"], ["--scopes", "verify"])
    with with_key(guarded, slow) as limited, with_key(guarded, free) as other:
        answers = at_once([lambda: limited.http.get("/models")] * 12)
        late = next(answer for answer in answers if answer.status_code == 429)
        problem(late, 429, "rate_limited")
        assert (late.headers["RateLimit-Limit"], late.headers["RateLimit-Remaining"]) == ("3", "0")
        answered(other.http.get("/models"))
        time.sleep(int(late.headers["Retry-After"]))
        answered(limited.http.get("/models"))


def test_a_key_for_one_request_at_once_has_no_second(guarded: Server) -> None:
    (key,) = new_keys(guarded.data_dir, ["--scopes", "verify", "--concurrent", "1"])
    with Wire(guarded) as wire, with_key(guarded, key) as api:
        wire.head("POST", "/detect", 9, X_API_Key=key, Content_Type=JSON)
        assert eventually(lambda: api.http.get("/models").status_code == 429)
        assert api.http.get("/models").headers["Retry-After"]
        wire.socket.close()
        assert eventually(lambda: api.http.get("/models").status_code == 200)


def test_without_keys_an_address_is_limited_under_any_name_that_it_gives_itself(strict: Server) -> None:
    with httpx2.Client(base_url=strict.url, timeout=20) as http:
        forged = [{"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"} for number in range(150)]
        statuses = [http.get("/nothing", headers=headers).status_code for headers in forged]
    assert set(statuses) == {404, 429}
    time.sleep(1)


def test_without_keys_an_address_has_a_limit_of_requests_at_once(strict: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Wire(strict)).head("POST", "/detect", 9, Content_Type=JSON)
        assert eventually(lambda: httpx2.get(f"{strict.url}/models").status_code == 429)
    assert eventually(lambda: httpx2.get(f"{strict.url}/models").status_code == 200)


@pytest.mark.parametrize(
    "pieces", [[], [b"GET /models HTTP/1.1\r\n"], [b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n"]], ids=len
)
def test_a_head_that_does_not_come_ends_the_connection(strict: Server, pieces: list[bytes]) -> None:
    with Wire(strict, patience=HEAD_TIMEOUT + 3) as wire:
        wire.send(*pieces).answer()


BODY_HEAD = b"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
DRIPPING = {
    "head": (b"GET /models HTTP/1.1\r\n", b"A: b\r\n"),
    "body": (BODY_HEAD + b"Content-Length: 400\r\n\r\n", b" "),
    "chunked body": (BODY_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("what", DRIPPING)
def test_a_head_or_body_that_comes_bit_by_bit_is_cut_off(strict: Server, what: str) -> None:
    begin, drop = DRIPPING[what]

    def dripping() -> bytes:
        time.sleep(0.2)
        return drop

    with Wire(strict) as wire:
        wire.send(begin)
        assert sent_until_refused(wire, dripping, most=120) < 120
