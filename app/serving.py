"""
uvicorn as we run it: bounded heads, no endless waits for one, and a stop that says so.

Why here: uvicorn's fast parser takes heads of any length and waits for ever for one that has begun, and on SIGTERM it
closes its port at once, so that neither /healthz nor /readyz can say that the service is stopping.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.errors import MEDIA_TYPE
from app.api.lifecycle import Lifecycle
from app.observability import native

DRAIN_SECONDS = 9.0
_CANCEL_SECONDS = 1  # for what is still under way then to be cut off: ten seconds in all


@dataclass(frozen=True, slots=True)
class Bounds:
    connections: int
    head_bytes: int
    head_seconds: float


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, bounds: Bounds, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._head_bytes = 0
        self._in_head = True
        self._too_long = False
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            transport.close()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self._bounds.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._bounds.head_bytes:
            self._too_long = True
            raise ValueError("the head is too long")  # the parser stops, and calls send_400_response
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        if self._too_long:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "invalid_http")

    def _wait_for_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self._bounds.head_seconds, self.transport.close)

    def _head_is_here(self) -> None:
        self._in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        """Answer before there is a request, and close."""
        document = {"type": f"/problems/{code}", "title": status.phrase, "status": int(status), "code": code}
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


class Server(uvicorn.Server):
    """On the first signal: not ready at once, then no new work, and the end when nothing is under way any more."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._lifecycle.stopping:
            super().handle_exit(sig, frame)  # asked again: now
        else:
            self._captured_signals.append(sig)
            self._lifecycle.stop()

    async def on_tick(self, counter: int) -> bool:
        refusing = self._lifecycle.seconds_refusing()
        if refusing is not None and (self._lifecycle.idle or refusing > DRAIN_SECONDS):
            self.should_exit = True
        return await super().on_tick(counter)


def serve(app: Any, *, host: str, port: int, bounds: Bounds) -> None:
    """Until a signal; `app` has a Lifecycle as `app.state.lifecycle`."""

    def protocol(*args: Any, **kwargs: Any) -> BoundedProtocol:
        return BoundedProtocol(bounds, *args, **kwargs)

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,  # type: ignore[arg-type]  # called as a class is
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_CANCEL_SECONDS,
    )
    native.adopt()
    Server(config, app.state.lifecycle).run()
