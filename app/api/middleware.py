"""What happens to every request: an id, the /v1 prefix, ids with slashes, and an end to endless bodies. Plain ASGI."""

from __future__ import annotations

import re
import uuid

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v1"
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def request_id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


class RequestId:
    """Takes `X-Request-ID` where it is harmless to log, makes one otherwise, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SAFE_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
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
    """Stops reading a body at `max_bytes`, whatever its Content-Length claims."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise HTTPException(413, f"want a request of at most {self._max_bytes} bytes")
            return message

        return await self._app(scope, receive_within_limit, send)
