"""A client that has no manners."""

import contextlib
import socket
from collections.abc import Callable
from typing import Self

from .server import HOST, Server


class Wire:
    """Raw bytes to a server, and what came back until it closed."""

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
        """All that comes before the server closes; a server that does not close is a TimeoutError."""
        received = b""
        try:
            while more := self.socket.recv(2**16):
                received += more
        except ConnectionResetError:
            pass
        return received

    def status(self) -> int:
        return int(self.answer().split()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def sent_until_refused(wire: Wire, piece: Callable[[], bytes], most: int) -> int:
    """How many bytes the other side took before it closed."""
    sent = 0
    try:
        while sent < most:
            sent += wire.socket.send(piece())
    except OSError:
        pass
    return sent
