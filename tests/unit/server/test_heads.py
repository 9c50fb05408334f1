"""A head of bounded length, in bounded time; and no connection without either."""

import time

import pytest

from app.server.protocol import ConnectionLimits
from tests.unit.server.listening import HOST, PATIENCE, Client, Listening, listening

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
EARLY = b"POST /early HTTP/1.1\r\nHost: x\r\n"
LIMIT = 2048
NOT_BEFORE = 0.3
"""Seconds; the head of a request to `server` has 0.4. That it closes at all is seen within PATIENCE."""
ENDLESS_TRAILERS = [b"A: " + b"x" * 1000 + b"\r\n", b"x" * 10_000]
"""Each is sent again and again."""


def head(length: int, *, of: str = "header") -> bytes:
    """A request whose line and headers count `length` bytes, as the limits count them; `of` is what is long."""
    fixed = len(b"/") + len(b"Host") + len(b"x") + 4
    line = {
        "url": b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"u" * (length - fixed)),
        "header": b"GET / HTTP/1.1\r\nHost: x\r\nA: %s\r\n\r\n" % (b"v" * (length - fixed - len(b"A") - 4)),
    }
    return line[of]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [10_000, 100])
@pytest.mark.parametrize("of", ["url", "header"])
def test_a_head_as_long_as_allowed_is_answered(server: Listening, of: str, size: int) -> None:
    client = server.connect(*pieces(head(LIMIT, of=of), size))
    assert client.answer()[0] == 200


@pytest.mark.parametrize("size", [10_000, 100])
@pytest.mark.parametrize("of", ["url", "header"])
def test_a_longer_one_is_refused_and_reaches_nobody(patient: Listening, of: str, size: int) -> None:
    client = patient.connect(*pieces(head(LIMIT + 1, of=of), size))
    status, document = client.answer()
    assert (status, document["code"], document["status"]) == (431, "headers_too_large", 431)
    assert document.keys() == {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert patient.app.metrics.problems == ["headers_too_large"]
    client.wait_closed()
    assert patient.app.asked == []


@pytest.mark.parametrize("second", [b"Host: y", b"Host: x", b"hOST: y"])
@pytest.mark.parametrize("size", [10_000, 1])
def test_two_host_headers_are_refused_and_reach_nobody(server: Listening, second: bytes, size: int) -> None:
    client = server.connect(*pieces(b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % second, size))
    status, document = client.answer()
    assert (status, document["code"]) == (400, "invalid_http")
    assert document["detail"] == "expected one Host header, got two"
    client.wait_closed()
    assert server.app.asked == []


def test_each_request_of_a_connection_has_a_host(server: Listening) -> None:
    client = server.connect(GET, GET)
    assert [client.answer()[0] for _ in range(2)] == [200, 200]


def test_many_short_headers_are_a_long_head_too(server: Listening) -> None:
    client = server.connect(b"GET / HTTP/1.1\r\n", *[b"A%d: b\r\n" % number for number in range(300)])
    assert client.answer()[0] == 431


@pytest.mark.parametrize("endless", [b"GET /", b"GET / HTTP/1.1\r\nA: ", b"GET / HTTP/1.1\r\nA"])
def test_a_line_that_does_not_end_is_refused(patient: Listening, endless: bytes) -> None:
    client = patient.connect(endless)
    assert client.drip(b"x" * 60_000, 0)
    assert patient.app.asked == []


@pytest.mark.parametrize("more", ENDLESS_TRAILERS)
def test_trailers_are_counted_as_headers_are(patient: Listening, more: bytes) -> None:
    client = patient.connect(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    assert client.drip(more, 0.001)


def test_what_is_no_http_is_told_so(server: Listening) -> None:
    status, document = server.connect(b"\x16\x03\x01 hello\r\n\r\n").answer()
    assert (status, document["code"]) == (400, "invalid_http")
    assert server.app.metrics.problems == ["invalid_http"]
    assert server.app.asked == []


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"G", GET[:-2]])
def test_a_head_that_does_not_come_in_time_closes_the_connection(server: Listening, begun: bytes) -> None:
    client = server.connect(begun)
    client.wait_closed()
    assert time.monotonic() - client.opened >= NOT_BEFORE
    assert server.app.asked == []


@pytest.mark.parametrize("piece", [b"\r\n", b"a"])
def test_dripping_does_not_prolong_it(server: Listening, piece: bytes) -> None:
    client = server.connect(b"GET / HTTP/1.1\r\nA: "[: 99 * (piece == b"a")])
    assert client.drip(piece, 0.05)
    assert time.monotonic() - client.opened >= NOT_BEFORE


@pytest.mark.parametrize("piece", [b"\r\n", b"G"])
def test_the_next_head_has_as_long_as_the_first_once_anything_of_it_came(server: Listening, piece: bytes) -> None:
    client = server.connect(GET)
    client.answer()
    sent = time.monotonic()
    client.send(piece)
    client.wait_closed()
    assert time.monotonic() - sent >= NOT_BEFORE


def test_a_connection_that_is_kept_alive_serves_more_than_one_request() -> None:
    with listening(ConnectionLimits(max_connections=9, max_head_bytes=LIMIT, head_timeout=2)) as server:
        client = server.connect()
        for number in range(4):
            time.sleep(0.6)  # more than the timeout together
            client.send(GET.replace(b"/a", b"/%d" % number))
            assert client.answer() == (200, {"path": f"/{number}", "bytes": 0})


def test_a_request_under_way_may_take_longer_than_its_head(server: Listening) -> None:
    client = server.connect(GET.replace(b"/a", b"/held"))
    assert client.is_open(0.8)
    server.app.held.set()
    assert client.answer()[0] == 200


def test_a_body_may_take_longer_than_its_head(server: Listening) -> None:
    client = server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        client.send(b"x")
        time.sleep(0.1)
    assert client.answer() == (200, {"path": "/", "bytes": 8})


@pytest.mark.parametrize("silence", [0, 0.6])
def test_who_has_an_answer_may_not_send_the_rest_of_the_body_for_ever(server: Listening, silence: float) -> None:
    client = server.connect(EARLY + b"Content-Length: 100000000\r\n\r\n")
    client.answer()
    time.sleep(silence)
    assert client.drip(b"x", 0.05)
    client.wait_closed()
    assert time.monotonic() - client.opened >= NOT_BEFORE


@pytest.mark.parametrize("more", ENDLESS_TRAILERS)
def test_who_has_an_answer_may_not_send_trailers_for_ever(server: Listening, more: bytes) -> None:
    client = server.connect(EARLY + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    client.answer()
    assert client.drip(more, 0.001)
    assert time.monotonic() - client.opened >= NOT_BEFORE


@pytest.mark.parametrize("asked", [b"", b"Connection: close\r\n"])
def test_an_answer_before_the_body_is_the_last_and_reaches_who_is_still_sending(
    patient: Listening, asked: bytes
) -> None:
    body = b"x" * 12_000_000
    client = patient.connect(EARLY + asked + b"Content-Length: %d\r\n\r\n" % len(body))
    assert all(client.send(piece) for piece in pieces(body, 100_000))
    assert client.answer() == (200, {"path": "/early", "bytes": 0})
    client.send(GET)
    client.wait_closed()
    assert patient.app.asked == ["/early"]


def test_an_answer_after_the_body_is_not_the_last(server: Listening) -> None:
    client = server.connect(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    client.send(b"abc")
    assert client.answer() == (200, {"path": "/b", "bytes": 3})
    client.send(GET)
    assert client.answer() == (200, {"path": "/a", "bytes": 0})


def test_a_whole_request_and_the_beginning_of_the_next_may_come_as_one_piece(server: Listening) -> None:
    length = 50_000  # more than a head may have, and less than the server reads at once
    head = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
    client = server.connect(head + b"x" * length + GET[:20])
    client.send(GET[20:])
    assert client.answer() == (200, {"path": "/b", "bytes": length})
    assert client.answer() == (200, {"path": "/a", "bytes": 0})


@pytest.mark.parametrize("length", [50_000, 5_000_000])
def test_a_long_body_is_no_long_head_whatever_comes_behind_it(server: Listening, length: int) -> None:
    client = server.connect(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
    client.send(b"x" * length + GET[:20])
    client.send(GET[20:])
    assert client.answer() == (200, {"path": "/b", "bytes": length})
    assert client.answer() == (200, {"path": "/a", "bytes": 0})


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_body_in_chunks_of_any_size_is_no_long_head(server: Listening, size: int) -> None:
    client = server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"%x\r\n%s\r\n" % (size, b"x" * size) * (3_000_000 // (size + 40)))
    client.send(b"0\r\n\r\n")
    assert client.answer() == (200, {"path": "/", "bytes": size * (3_000_000 // (size + 40))})


def accepted(server: Listening) -> Client:
    """A connection that was answered; tried again while others that have gone still count."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        client = server.connect(GET)
        try:
            client.answer()
        except (EOFError, ConnectionResetError):
            continue
        return client
    pytest.fail("no connection was accepted")


def test_connections_beyond_the_bound_are_closed_at_once_and_those_within_go_on() -> None:
    with listening(ConnectionLimits(max_connections=3, max_head_bytes=LIMIT, head_timeout=60)) as server:
        first = [accepted(server) for _ in range(3)]
        for _ in range(3):
            server.connect().wait_closed()
        first[0].send(GET)
        assert first[0].answer()[0] == 200

        first[1].close()
        accepted(server)


@pytest.mark.parametrize(("trusted", "asker"), [(None, HOST), ("10.0.0.9", HOST), (HOST, "203.0.113.7")])
def test_who_asks_is_who_connects_unless_that_is_a_proxy_that_was_named(trusted: str | None, asker: str) -> None:
    forwarded = GET[:-2] + b"X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n\r\n"
    with listening(
        ConnectionLimits(max_connections=9, max_head_bytes=LIMIT, head_timeout=5), trusted=trusted
    ) as server:
        server.connect(forwarded).answer()
    assert server.app.askers == [asker]


@pytest.mark.parametrize("body", [b"zz\r\nabc", b"-1\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"f" * 20 + b"\r\n"])
def test_a_body_that_is_no_http_is_told_so(server: Listening, body: bytes) -> None:
    client = server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", body)
    status, document = client.answer()
    assert (status, document["code"]) == (400, "invalid_http")
    client.wait_closed()


@pytest.mark.parametrize("path", [b"/a", b"/held"])
@pytest.mark.parametrize("before", [0, 2])
def test_who_ends_only_what_it_sends_has_its_answers(server: Listening, path: bytes, before: int) -> None:
    client = server.connect(GET * before + GET.replace(b"/a", path))
    client.end()
    server.app.wait_until_asked()
    server.app.held.set()
    assert [client.answer()[1]["path"] for _ in range(before + 1)] == ["/a"] * before + [path.decode()]
    client.wait_closed()


def test_a_broken_request_behind_another_does_not_answer_for_it(server: Listening) -> None:
    client = server.connect(GET.replace(b"/a", b"/held"), b"\x16\x03\x01 hello\r\n\r\n")
    client.wait_closed()
    assert server.app.metrics.problems == []


def test_who_ends_before_the_body_is_whole_has_no_answer(patient: Listening) -> None:
    client = patient.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
    client.end()
    client.wait_closed()
