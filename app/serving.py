"""
uvicorn as we run it: bounded heads, no endless waits for one, and a stop that says so.

Why here: uvicorn's fast parser takes heads of any length and waits for ever for one that has begun, and on SIGTERM it
closes its port at once, so that neither /healthz nor /readyz can say that the service is stopping.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.lifecycle import Lifecycle
from app.api.problems import MEDIA_TYPE
from app.domain.errors import StartError
from app.observability import native

log = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0
_CUT_SECONDS = 0.5  # for what is still under way then to be answered with 503
_REST_SECONDS, _REST_BYTES = 5.0, 16 * 1024 * 1024  # of a body whose request is answered
_READ_BYTES = 256 * 1024  # what one read may bring of the next message
_CHUNK_BYTES = 32  # what frames a chunk of a body, at most
_SWITCH_SECONDS = 0.0005  # for which a thread keeps Python from the event loop; by Python's default ten times as long
_CANCEL_SECONDS = 1  # for what even then has not ended; ten seconds in all


@dataclass(frozen=True, slots=True)
class Bounds:
    connections: int
    head_bytes: int
    head_seconds: float


class BoundedProtocol(HttpToolsProtocol):
    """
    One connection. At any time a request is being answered, or a timer runs: for the head of the next request, or
    for the rest of a body whose request was answered before it came.
    """

    def __init__(self, bounds: Bounds, told: Callable[[str], None], *args: Any, **kwargs: Any) -> None:
        """`told` is told the code of each problem that is answered here."""
        super().__init__(*args, **kwargs)
        self._bounds, self._told = bounds, told
        self._head_bytes = 0  # of the request's line, headers and trailers
        self._other_bytes = 0  # all that came since the message began, less its body and what frames its chunks
        self._complete = True  # no message has begun that has not ended
        self._in_head = False
        self._ended_here = False  # a message ended in the bytes that came last; what began since is not all of them
        self._rest_bytes = 0
        self._unended = 0  # bytes of a head that has not ended
        self._too_long = False
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            transport.close()
        self._close_after(self._bounds.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        begins_here = self._in_head or (self._complete and not self._answering())
        self._other_bytes += len(data)
        self._ended_here = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._late and not self._complete and not self._in_head:
            self._read_rest(len(data))
        if self._in_head and begins_here and not self._ended_here:
            self._unended += len(data)
        if self._unended > self._bounds.head_bytes or self._other_bytes > self._bounds.head_bytes + _READ_BYTES:
            self._refuse_head()  # a line without an end, in the head or in trailers
        elif self._complete and not self._answering():  # blank lines end uvicorn's own timer and begin no request
            self._close_after(self._bounds.head_seconds)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._complete, self._in_head = False, True
        self._head_bytes = self._other_bytes = self._rest_bytes = self._unended = 0
        self._close_after(self._bounds.head_seconds)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._other_bytes = max(0, self._other_bytes - _CHUNK_BYTES)

    def on_body(self, body: bytes) -> None:
        self._other_bytes = max(0, self._other_bytes - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete = self._ended_here = True
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._complete and not self._answering():
            self._close_after(_REST_SECONDS)
            self._read_rest(0)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        if self._too_long:
            self._refuse_head()
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "invalid_http")

    def _read_rest(self, size: int) -> None:
        """Of a body whose request is answered: some of it, so that the client gets to reading the answer."""
        self._rest_bytes += size
        if self._rest_bytes > _REST_BYTES:
            self.transport.pause_reading()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._bounds.head_bytes:
            self._too_long = True
            raise ValueError("the head is too long")  # the parser stops, and calls send_400_response

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_after(self, seconds: float) -> None:
        """Unless something better comes; a timer that runs is not prolonged."""
        if self._late is None:
            self._late = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse_head(self) -> None:
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        """Answer before there is a request, and close; where one is being answered already, only close."""
        if not self._answering():
            document = _problem(status, code)
            log.info("refused", extra={"status": int(status), "code": code, "request": document["request_id"]})
            self._told(code)
            body = json.dumps(document).encode()
            head = f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()


def _problem(status: HTTPStatus, code: str) -> dict[str, Any]:
    """As api/errors.py writes them; there is no path yet that could be named."""
    return {
        "type": f"/problems/{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": "the head of the request is too long" if "headers" in code else "these bytes are no HTTP request",
        "instance": None,
        "code": code,
        "request_id": str(uuid.uuid4()),
    }


class Server(uvicorn.Server):
    """On the first signal: not ready at once, then no new work, and the end when nothing is under way any more."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for host, port, *_ in [listener.getsockname() for listener in sockets or ()]:
            log.info("Likeness is running on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._lifecycle.stopping:
            super().handle_exit(sig, frame)  # asked again: now
        else:
            self._captured_signals.append(sig)
            self._lifecycle.stop()

    async def on_tick(self, counter: int) -> bool:
        refusing = self._lifecycle.seconds_refusing()
        if refusing is not None and refusing > DRAIN_SECONDS:
            self._lifecycle.cut()
        if refusing is not None and (self._lifecycle.idle or refusing > DRAIN_SECONDS + _CUT_SECONDS):
            self.should_exit = True
        return await super().on_tick(counter)


def serve(app: Any, *, host: str, port: int, bounds: Bounds, trusted_proxies: str | None) -> None:
    """Until a signal; `app` has a Lifecycle as `app.state.lifecycle`. Raises StartError where it cannot listen."""
    with bound(host, port) as listener:
        run(app, listener, bounds, trusted_proxies)


def run(
    app: Any,
    listener: socket.socket,
    bounds: Bounds,
    trusted_proxies: str | None,
    server: Callable[[uvicorn.Config, Lifecycle], Server] = Server,
) -> None:
    """As `serve`, on a socket that is bound already."""

    def protocol(*args: Any, **kwargs: Any) -> BoundedProtocol:
        return BoundedProtocol(bounds, app.state.metrics.problem, *args, **kwargs)

    config = uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # called as a class is
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies,
        timeout_graceful_shutdown=_CANCEL_SECONDS,
    )
    native.adopt()
    sys.setswitchinterval(_SWITCH_SECONDS)
    server(config, app.state.lifecycle).run([listener])


def bound(host: str, port: int) -> socket.socket:
    """Takes the port; nobody can connect before the service has started and listens."""
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise StartError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
    return taken
