"""
uvicorn's HTTP/1.1 protocol with limits: on connections, on the size of a request's head, and on the time for each head.

uvicorn's httptools parser accepts a head of any length and waits without end for a head that has begun.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)

_DISCARD_SECONDS, _DISCARD_BYTES = 5.0, 16 * 1024 * 1024  # for the rest of a body whose request is answered already
_READ_BYTES = 256 * 1024  # at most, of the next message, come with the end of this one
_CHUNK_OVERHEAD_BYTES = 32  # at most: size, extensions and line ends of a chunk
_MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    max_connections: int
    max_head_bytes: int
    head_timeout: float
    """Seconds for a head to arrive, from the connection or from the end of the previous answer on."""


class _RequestTransport:
    """
    The transport as the code that answers one request sees it: closed before the body has arrived, it only ends what
    the server sends. A closed socket would reset a connection on which the client still sends, and the answer be lost.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport, self.close = transport, close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """
    One connection. At any time either a request is being answered or a timeout runs: for the head of the next request,
    or for the rest of a body whose request was answered before the body had arrived.
    """

    def __init__(self, limits: ConnectionLimits, on_problem: Callable[[str], None], *args: Any, **kwargs: Any) -> None:
        """`on_problem` is called with the code of each problem that is answered here."""
        super().__init__(*args, **kwargs)
        self._limits, self._on_problem = limits, on_problem
        self._timeout: asyncio.TimerHandle | None = None
        self._message_complete = True  # no message has begun that has not ended
        self._in_head = False
        self._ended_in_this_read = False  # the last bytes hold the end of a message, perhaps the start of another
        self._head_bytes = 0  # of the request line, headers and trailers that the parser has reported
        self._incomplete_head_bytes = 0  # of reads within which a head has not ended
        self._non_body_bytes = 0  # all bytes since the message began, less its body and the overhead of its chunks
        self._discarded_bytes = 0
        self._head_too_long = self._has_host = self._has_two_hosts = False
        self._keeps_alive = False  # whether the connection serves further requests, if this one's body arrives
        self._closes_after_body = False  # the last answer is sent, and what still arrives is thrown away

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            transport.close()
        self._start_timeout(self._limits.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timeout()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that has ended what it sends, as netcat does: it may still read."""
        if not self._is_answering() or self.cycle.more_body:
            return False
        self._keeps_alive = self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self._closes_after_body:
            self._discard_body(len(data))
            return
        head_begins_here = self._in_head or (self._message_complete and not self._is_answering())
        self._non_body_bytes += len(data)
        self._ended_in_this_read = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and head_begins_here and not self._ended_in_this_read:
            self._incomplete_head_bytes += len(data)
        if self._line_too_long():
            self._refuse_head()
        elif self._message_complete and not self._is_answering():  # blank lines stop uvicorn's own timer
            self._start_timeout(self._limits.head_timeout)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._message_complete, self._in_head, self._has_host = False, True, False
        self._head_bytes = self._incomplete_head_bytes = self._non_body_bytes = self._discarded_bytes = 0
        self._start_timeout(self._limits.head_timeout)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_head_bytes(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head_bytes(len(name) + len(value) + 4)
        if name.lower() == b"host":
            if self._has_host:  # RFC 9112 3.2: two programs on the way may each believe another one
                self._has_two_hosts = True
                raise ValueError("two Host headers")
            self._has_host = True
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._cancel_timeout()
        super().on_headers_complete()
        # An answer before the body has arrived says that it is the last: who is told so sends no request behind a body
        # that may never be read.
        self._keeps_alive, self.cycle.keep_alive = self.cycle.keep_alive, False
        self.cycle.transport = _RequestTransport(self.transport, self._close_after_body)  # type: ignore[assignment]

    def on_chunk_header(self) -> None:
        self._non_body_bytes = max(0, self._non_body_bytes - _CHUNK_OVERHEAD_BYTES)

    def on_body(self, body: bytes) -> None:
        self._non_body_bytes = max(0, self._non_body_bytes - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._message_complete = self._ended_in_this_read = True
        self._cancel_timeout()
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._closes_after_body:
            self._start_timeout(_DISCARD_SECONDS)
            self._discard_body(0)

    def shutdown(self) -> None:
        self._keeps_alive = False
        super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        if self._head_too_long:
            self._refuse_head()
        else:
            detail = (
                "expected one Host header, got two"
                if self._has_two_hosts
                else "expected an HTTP request, got other bytes"
            )
            self._refuse(HTTPStatus.BAD_REQUEST, "invalid_http", detail)

    def _close_after_body(self) -> None:
        if self._message_complete:
            self.transport.close()
        elif not self.transport.is_closing():
            self._closes_after_body = True
            self.transport.write_eof()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count_head_bytes(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.max_head_bytes:
            self._head_too_long = True
            raise ValueError("the head is too long")  # the parser stops, and calls send_400_response

    def _line_too_long(self) -> bool:
        """Return whether a line of head or trailers exceeds the limit; the parser reports whole lines only."""
        limit = self._limits.max_head_bytes
        return self._incomplete_head_bytes > limit or self._non_body_bytes > limit + _READ_BYTES

    def _discard_body(self, size: int) -> None:
        """Read some of a body whose request is answered: many clients read the answer only after they sent it all."""
        self._discarded_bytes += size
        if self._discarded_bytes > _DISCARD_BYTES:
            self.transport.pause_reading()

    def _start_timeout(self, seconds: float) -> None:
        """Close the connection after `seconds` unless cancelled; a timeout that runs is not prolonged."""
        if self._timeout is None:
            self._timeout = self.loop.call_later(seconds, self.transport.close)

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _refuse_head(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(
            status, "headers_too_large", f"expected at most {self._limits.max_head_bytes} bytes of headers, got more"
        )

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Answer without a request and close; where a request is being answered already, only close."""
        if self._is_answering() and not self._awaits_body():
            self.transport.close()
            return
        request_id = str(uuid.uuid4())
        log.info("refused", extra={"status": int(status), "code": code, "request": request_id})
        self._on_problem(code)
        self.transport.write(_problem_response(status, code, detail, request_id))
        if self._is_answering():
            self.cycle.disconnected = True  # its answer is this one
        self.transport.close()

    def _awaits_body(self) -> bool:
        """Return whether the only request of the connection has neither its whole body nor the start of an answer."""
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline


def _problem_response(status: HTTPStatus, code: str, detail: str, request_id: str) -> bytes:
    """The same document as in api/problems.py; no path is known yet that `instance` could name."""
    document = {
        "type": f"/problems/{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "instance": None,
        "code": code,
        "request_id": request_id,
    }
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: {_MEDIA_TYPE}\r\n"
    head += f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
