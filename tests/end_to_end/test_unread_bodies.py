"""A request refused by its head costs no more than its head: its body is not read, its connection not kept."""

import contextlib

import httpx2
import pytest

from .contract import problem
from .operating import Wire, eventually, sent_until_refused
from .server import MIB, Server

UPLOAD = 60 * MIB
FORM = "multipart/form-data; boundary=x"
BUFFERED = 16 * MIB  # what the kernels of both sides may hold, generously


@pytest.mark.parametrize("path", ["/detect", "/nothing", "/galleries/default"])
def test_an_upload_without_a_key_is_refused_unread(guarded, path):
    with Wire(guarded) as wire:
        wire.head("POST", path, UPLOAD, Content_Type=FORM)
        assert sent_until_refused(wire, lambda: bytes(2**16), UPLOAD) < BUFFERED


def test_the_refusal_arrives_before_the_body_is_sent(guarded):
    with Wire(guarded) as wire:
        answer = wire.head("POST", "/detect", UPLOAD, Content_Type=FORM).answer()
    assert answer.split()[1] == b"401"
    assert b'"unauthorized"' in answer


def test_a_client_that_minds_no_answer_until_it_has_sent_all_still_gets_it(guarded):
    answer = httpx2.post(f"{guarded.url}/detect", files={"image": bytes(UPLOAD)}, timeout=30)
    problem(answer, 401, "unauthorized")


@pytest.mark.parametrize(("method", "path"), [("POST", "/nothing"), ("POST", "/models"), ("PUT", "/galleries/default")])
def test_a_body_that_nobody_wants_is_not_swallowed(guarded, keys, method, path):
    with Wire(guarded) as wire:
        wire.head(method, path, 10**10, Content_Type=FORM, X_API_Key=keys["admin"])
        assert sent_until_refused(wire, lambda: bytes(2**16), UPLOAD) < BUFFERED


def test_a_body_that_grows_without_end_is_refused_while_it_is_read(guarded, keys):
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    with Wire(guarded) as wire:
        wire.send(
            b"POST /detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n",
            f"Content-Type: {FORM}\r\nX-API-Key: {keys['admin']}\r\n\r\n".encode(),
            b"%x\r\n%s\r\n" % (len(head), head),
        )
        assert sent_until_refused(wire, lambda: b"10000\r\n" + bytes(2**16) + b"\r\n", 200 * MIB) < 100 * MIB


def test_connections_beyond_the_most_are_closed_and_the_others_served(tmp_path):
    with Server(tmp_path / "data", LIKENESS_MAX_CONNECTIONS="8") as server, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server, patience=2)) for _ in range(20)]
        closed = sum(is_closed(wire) for wire in wires)
        assert 20 - closed in {6, 7, 8}
        stack.close()
        assert eventually(server.is_ready)


def is_closed(wire):
    wire.socket.settimeout(0.3)
    try:
        return wire.socket.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_those_without_a_key_cannot_hold_every_connection(tmp_path):
    settings = {"LIKENESS_MAX_CONNECTIONS": "4", "LIKENESS_UPLOAD_TIMEOUT": "1", "LIKENESS_AUTH": "on"}
    with Server(tmp_path / "data", **settings) as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Wire(server)).head("POST", "/detect", UPLOAD, Content_Type=FORM)
        assert eventually(server.is_ready, within=5)
