"""Bound the size of a request body and the time that it may take."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLOSE = {"Connection": "close"}  # the rest of the body will not be read


class BodyLimit:
    """Stop reading a body after `max_bytes`, whatever its Content-Length claims, and after `seconds`."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app, self._max_bytes, self._seconds = app, max_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        read, complete = 0, False
        until = asyncio.get_running_loop().time() + self._seconds

        async def receive_within_limit() -> Message:
            nonlocal read, complete
            if complete:  # all that can follow is the message that the client has left
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"want the body within {self._seconds:g} s", _CLOSE) from None
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > self._max_bytes:
                raise HTTPException(413, f"want a request of at most {self._max_bytes} bytes", _CLOSE)
            return message

        return await self._app(scope, receive_within_limit, send)
