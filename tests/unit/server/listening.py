"""A server as it is served, over an application that does nothing, and clients that are no browser."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.server.protocol import ConnectionLimits
from app.server.server import serve
from app.server.shutdown import Lifecycle

HOST, PATIENCE = "127.0.0.1", 10.0


@dataclass(frozen=True)
class Told:
    """Metrics that only remember the problems they were told."""

    problems: list[str] = field(default_factory=list)

    def problem(self, code: str) -> None:
        self.problems.append(code)


@dataclass
class Echo:
    """Answers with the path and the length of the body; `/early` before it was read, `/held` when it is let go."""

    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    asked: list[str] = field(default_factory=list)
    askers: list[str] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    metrics: Told = field(default_factory=Told)

    @property
    def state(self) -> SimpleNamespace:
        return SimpleNamespace(lifecycle=self.lifecycle, metrics=self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.asked.append(scope["path"])
        self.askers.append(scope["client"][0])
        with self.lifecycle.in_flight():
            length = 0 if scope["path"] == "/early" else await self._length(receive)
            while scope["path"] == "/held" and not self.held.is_set():  # noqa: ASYNC110 - a test's thread sets it
                await asyncio.sleep(0.01)
            await self._answer(send, {"path": scope["path"], "bytes": length})

    def wait_until_asked(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.asked:
            assert time.monotonic() < deadline, "no request came"
            time.sleep(0.01)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        self.started.set()
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _length(self, receive: Receive) -> int:
        message: Message = {"more_body": True}
        length = 0
        while message.get("more_body"):
            message = await receive()
            length += len(message.get("body", b""))
        return length

    async def _answer(self, send: Send, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Client:
    """A connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self.opened = time.monotonic()
        self._socket = socket.create_connection((HOST, port), PATIENCE)

    def send(self, data: bytes) -> bool:
        """Return whether the server took it all; where it has closed, its answer can still be read."""
        try:
            self._socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            return False
        return True

    def answer(self) -> tuple[int, dict[str, Any]]:
        """The next one: its status and its document."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._received(1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        return int(head.split()[1]), json.loads(self._received(length))

    def wait_closed(self) -> None:
        """Return when the server has closed; what it sends before is thrown away. Raises TimeoutError."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def is_open(self, seconds: float) -> bool:
        """Return whether the server has neither closed nor sent anything when that time is over."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False

    def drip(self, piece: bytes, every: float) -> bool:
        """Send `piece` again and again; whether the server closed before PATIENCE was over."""
        deadline = time.monotonic() + PATIENCE
        while self.send(piece):
            if time.monotonic() > deadline:
                return False
            time.sleep(every)
        return True

    def end(self) -> None:
        """Say that nothing more is sent; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def _received(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise EOFError("the server closed")
            data += piece
        return data


@dataclass
class Listening:
    """A server that runs in a thread, and the clients it has."""

    app: Echo
    port: int
    thread: threading.Thread
    clients: list[Client] = field(default_factory=list)

    def connect(self, *data: bytes) -> Client:
        client = Client(self.port)
        self.clients.append(client)
        for piece in data:
            if not client.send(piece):
                break
        return client

    def ended_within(self, seconds: float) -> bool:
        self.thread.join(seconds)
        return not self.thread.is_alive()


@contextmanager
def listening(limits: ConnectionLimits, app: Echo | None = None, trusted: str | None = None) -> Iterator[Listening]:
    echo = app or Echo()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    options = {"host": HOST, "port": port, "limits": limits, "trusted_proxies": trusted}
    thread = threading.Thread(target=serve, args=(echo,), kwargs=options, daemon=True)
    thread.start()
    assert echo.started.wait(PATIENCE), "the server did not start"
    server = Listening(echo, port, thread)
    try:
        _until_it_listens(port)
        yield server
    finally:
        for client in server.clients:
            client.close()
        echo.held.set()
        echo.lifecycle.stop()
        assert server.ended_within(PATIENCE), "the server did not stop"


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            Client(port).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
