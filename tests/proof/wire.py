"""A socket that sends whatever bytes it is given and reads an HTTP answer, or the lack of one."""

import contextlib
import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any, Self

ANSWER_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    kind: str
    body: bytes
    closes: bool

    @property
    def code(self) -> str | None:
        """Of a problem document; None for any other answer."""
        return str(self.json()["code"]) if self.kind == "application/problem+json" else None

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One keep-alive connection; opened anew when the server has closed it."""

    def __init__(self, port: int, *, timeout: float = ANSWER_WITHIN) -> None:
        self._port, self._timeout = port, timeout
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> Reply | None:
        """
        The answer to `request`, with no more to come from us; None where the server hangs up without one.

        Raises TimeoutError where neither happens in time, ConnectionRefusedError where nobody listens any more.
        """
        connection = self._socket or socket.create_connection(("127.0.0.1", self._port), self._timeout)
        self._socket = connection
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read everything
            connection.sendall(request)
        return self._answer(connection)

    def ask_and_end(self, request: bytes) -> Reply | None:
        """As `ask`, but on a connection of its own whose sending side is then closed: nothing is left to wait for."""
        self.close()
        connection = self._socket = socket.create_connection(("127.0.0.1", self._port), self._timeout)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, OSError):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        reply = self._answer(connection)
        self.close()
        return reply

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, connection: socket.socket) -> Reply | None:
        reply = read_reply(connection)
        if reply is None or reply.closes:
            self.close()
        return reply


def read_reply(connection: socket.socket) -> Reply | None:
    """The next answer on a connection; None where it ends instead."""
    try:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    kind = (answer.getheader("content-type") or "").partition(";")[0]
    return Reply(answer.status, kind, body, closes=bool(answer.will_close))
