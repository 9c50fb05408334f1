"""Raw bytes to a server, for requests that no HTTP client would send."""

import contextlib
import http.client
import json
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from tests.support.server import HOST, Server

ANSWER_WITHIN = 60.0


class Wire:
    """A connection that is used for one request."""

    def __init__(self, server: Server, patience: float = 6.0) -> None:
        self.socket = socket.create_connection((HOST, server.port), timeout=patience)

    def send(self, *pieces: bytes) -> Self:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it may answer and close before it has all
            for piece in pieces:
                self.socket.sendall(piece)
        return self

    def head(self, method: str, path: str, length: int, **headers: str) -> Self:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(self) -> bytes:
        """Return everything until the server closes. Raises TimeoutError if it does not close."""
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while more := self.socket.recv(2**16):
                received += more
        return received

    def status(self) -> int:
        return int(self.answer().split()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def sent_until_refused(wire: Wire, piece: Callable[[], bytes], most: int) -> int:
    """Return how many bytes the server took before it closed."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most:
            sent += wire.socket.send(piece())
    return sent


def sent_until_answered(wire: Wire, piece: Callable[[], bytes], most: int) -> int:
    """Return how many bytes the server took before the first byte of its answer was here."""
    sent = 0
    while sent < most and not select.select([wire.socket], [], [], 0)[0]:
        sent += wire.socket.send(piece())
    return sent


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    kind: str
    body: bytes
    closes: bool

    @property
    def code(self) -> str | None:
        """The code of a problem document; None for any other answer."""
        return str(self.json()["code"]) if self.kind == "application/problem+json" else None

    def json(self) -> Any:
        return json.loads(self.body)


class KeptWire:
    """A keep-alive connection, opened again when the server has closed it."""

    def __init__(self, port: int, *, timeout: float = ANSWER_WITHIN) -> None:
        self._port, self._timeout = port, timeout
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> Reply | None:
        """
        Return the answer, or None if the server hangs up without one.

        Raises TimeoutError if neither happens in time, ConnectionRefusedError if nobody listens any more.
        """
        connection = self._socket or socket.create_connection((HOST, self._port), self._timeout)
        self._socket = connection
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read everything
            connection.sendall(request)
        reply = read_reply(connection)
        if reply is None or reply.closes:
            self.close()
        return reply

    def ask_alone(self, request: bytes) -> Reply | None:
        """Ask on a new connection that is not used again."""
        self.close()
        try:
            return self.ask(request)
        finally:
            self.close()

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_reply(connection: socket.socket) -> Reply | None:
    """Return the next answer on a connection; None if the connection ends instead."""
    try:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    kind = (answer.getheader("content-type") or "").partition(";")[0]
    return Reply(answer.status, kind, body, closes=bool(answer.will_close))
