"""Bound the size of a request body and the time that it may take; refuse a compressed one."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.json_body import announced_length
from app.api.middleware.long_requests import is_import

_CLOSE = {"Connection": "close"}  # because the rest of the body is not read
_PIECE_BYTES = 2**20


class _Pieces:
    """
    The messages of a body, long ones in pieces.

    Servers hand over a body in pieces, test clients at once. A route that allows fewer bytes than BodyLimit has to see
    the first of them in both cases, so that its own answer comes first.
    """

    def __init__(self) -> None:
        self._message: Message = {}
        self._offset = 0

    @property
    def is_empty(self) -> bool:
        return self._offset >= len(self._message.get("body", b""))

    def add(self, message: Message) -> None:
        self._message, self._offset = message, 0

    def next(self) -> Message:
        start, self._offset = self._offset, self._offset + _PIECE_BYTES
        if start == 0 and self.is_empty:
            return self._message
        more = self._message.get("more_body", False) or not self.is_empty
        return {**self._message, "body": self._message["body"][start : self._offset], "more_body": more}


class BodyLimit:
    """
    Refuses a body of more than `max_bytes`, whatever its Content-Length says, or that takes more than `seconds`.

    A compressed body is refused too: it may be a bomb, and photos hardly shrink. The body of an import is read
    while it is answered: it may have any length, and each part of it may take `seconds`.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app, self._max_bytes, self._seconds = app, max_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        read, complete, pieces = 0, False, _Pieces()
        endless, clock = is_import(scope), asyncio.get_running_loop().time
        deadline = clock() + self._seconds
        headers = Headers(scope=scope)
        encoding, announced = headers.get("content-encoding", "identity"), announced_length(headers)

        async def receive_within_limit() -> Message:
            nonlocal read, complete
            if encoding.strip().lower() != "identity":
                raise HTTPException(422, f"expected a body without Content-Encoding, got {encoding[:40]}", _CLOSE)
            if complete:  # only the message that the client has disconnected can follow
                return await receive()
            self._check_length(announced, endless)  # before the server asks for the body (100 Continue)
            if pieces.is_empty:
                try:
                    async with asyncio.timeout_at(clock() + self._seconds if endless else deadline):
                        pieces.add(await receive())
                except TimeoutError:
                    raise HTTPException(408, f"expected the body within {self._seconds:g} s", _CLOSE) from None
            message = pieces.next()
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            self._check_length(read, endless)
            return message

        return await self._app(scope, receive_within_limit, send)

    def _check_length(self, length: int, endless: bool) -> None:  # noqa: FBT001
        if length > self._max_bytes and not endless:
            raise HTTPException(413, f"expected at most {self._max_bytes} bytes, got {length} or more", _CLOSE)
