"""What happens to every request: an id, the /v1 prefix, ids with slashes, an end to endless bodies. Plain ASGI."""

from __future__ import annotations

import asyncio
import re
import uuid

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import errors
from app.domain.errors import DeadlineExceeded, Overloaded
from app.observability import logs
from app.server.shutdown import Lifecycle

PREFIX = "/v1"
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_CLOSE = {"Connection": "close"}  # what is left of the body will not be read
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestId:
    """
    Takes `X-Request-ID` where it is harmless to log, makes one otherwise, and answers with it.

    Every answer also says that nobody may keep it (it is about people) and that it is what its type says.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SAFE_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        logs.request_id.set(request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode()), *_ALWAYS]
            await send(message)

        return await self._app(scope, receive, send_with_id)


class Paths:
    """
    Routes see the path as it was sent, still percent-encoded, so that an id may hold a slash; `/v1` is a root path, so
    that every route, the documentation too, is reachable under it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path") or scope["path"].encode()
            scope["path"] = raw.split(b"?")[0].decode("latin-1")
            if scope["path"].startswith(PREFIX + "/"):
                scope["root_path"] = PREFIX
        await self._app(scope, receive, send)


class BodyLimit:
    """Stops reading a body at `max_bytes`, whatever its Content-Length claims, and after `seconds`, however slow."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app, self._max_bytes, self._seconds = app, max_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        read, complete = 0, False
        until = asyncio.get_running_loop().time() + self._seconds

        async def receive_within_limit() -> Message:
            nonlocal read, complete
            if complete:  # what comes now is that the client left, at whatever time
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


class Deadline:
    """An answer within `seconds`, and before the service ends; if only that there is none."""

    def __init__(self, app: ASGIApp, seconds: float, lifecycle: Lifecycle) -> None:
        self._app, self._seconds, self._lifecycle = app, seconds, lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as limit:
                with self._lifecycle.abortable(limit):
                    await self._app(scope, receive, send_and_note)
        except TimeoutError:
            if begun or not limit.expired():
                raise
            late = f"no answer within {self._seconds:g} s"
            error = Overloaded("shutting down") if self._lifecycle.draining else DeadlineExceeded(late)
            await errors.answer(Request(scope), error)(scope, receive, send)
