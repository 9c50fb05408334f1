"""A request refused by its head costs no more than its head: its body is not read, its connection not kept."""

import contextlib
from pathlib import Path

import httpx2
import pytest

from tests.support.answers import problem
from tests.support.commands import eventually
from tests.support.server import MIB, Server
from tests.support.wire import Wire, sent_until_answered, sent_until_refused

UPLOAD = 200 * MIB
FORM = "multipart/form-data; boundary=x"
BUFFERED = 80 * MIB  # what the kernel may hold for both sides: 36 MiB by default, and some more


@pytest.mark.parametrize("path", ["/detect", "/nothing"])
def test_an_upload_without_a_key_is_refused_unread(guarded: Server, path: str) -> None:
    with Wire(guarded, patience=2) as wire:
        wire.head("POST", path, UPLOAD, Content_Type=FORM)
        assert sent_until_refused(wire, lambda: bytes(2**16), UPLOAD) < BUFFERED


def test_the_refusal_arrives_before_the_body_is_sent(guarded: Server) -> None:
    with Wire(guarded) as wire:
        answer = wire.head("POST", "/detect", UPLOAD, Content_Type=FORM).answer()
    assert answer.split()[1] == b"401"
    assert b'"unauthorized"' in answer


def test_a_client_that_reads_no_answer_until_it_has_sent_all_still_gets_it(guarded: Server) -> None:
    answer = httpx2.post(f"{guarded.url}/detect", files={"image": bytes(UPLOAD)}, timeout=30)
    problem(answer, 401, "unauthorized")


@pytest.mark.parametrize(("method", "path"), [("POST", "/nothing"), ("PUT", "/galleries/default")])
def test_a_body_that_no_route_needs_is_not_read(guarded: Server, keys: dict[str, str], method: str, path: str) -> None:
    with Wire(guarded, patience=2) as wire:
        wire.head(method, path, 10**10, Content_Type=FORM, X_API_Key=keys["admin"])
        assert sent_until_refused(wire, lambda: bytes(2**16), UPLOAD) < BUFFERED


def test_a_body_that_grows_without_end_is_refused_while_it_is_read(guarded: Server, keys: dict[str, str]) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    with Wire(guarded) as wire:
        wire.send(
            b"POST /detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n",
            f"Content-Type: {FORM}\r\nX-API-Key: {keys['admin']}\r\n\r\n".encode(),
            b"%x\r\n%s\r\n" % (len(head), head),
        )
        chunk = b"10000\r\n" + bytes(2**16) + b"\r\n"
        assert sent_until_answered(wire, lambda: chunk, UPLOAD) < 100 * MIB
        assert sent_until_refused(wire, lambda: chunk, UPLOAD) < BUFFERED


def test_connections_beyond_the_most_are_closed_and_the_others_served(tmp_path: Path) -> None:
    with Server(tmp_path / "data", LIKENESS_MAX_CONNECTIONS="8") as server, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server, patience=2)) for _ in range(20)]
        assert eventually(lambda: sum(is_closed(wire) for wire in wires) in {12, 13, 14})
        stack.close()
        assert eventually(server.is_ready)


def is_closed(wire: Wire) -> bool:
    wire.socket.settimeout(0.02)
    try:
        return wire.socket.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_clients_without_a_key_cannot_hold_every_connection(tmp_path: Path) -> None:
    settings = {"LIKENESS_MAX_CONNECTIONS": "4", "LIKENESS_UPLOAD_TIMEOUT": "1", "LIKENESS_AUTH": "on"}
    with Server(tmp_path / "data", **settings) as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Wire(server)).head("POST", "/detect", UPLOAD, Content_Type=FORM)
        assert eventually(server.is_ready, within=20)
