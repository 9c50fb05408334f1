"""Give every request an id, and every response its security headers."""

from __future__ import annotations

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability.logging import request_id as current_request_id

_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestId:
    """
    Takes the caller's `X-Request-ID` if it is safe to log, otherwise a new one, and returns it with the response.

    Every response also forbids content sniffing, and caching unless its route says otherwise, because it contains
    personal data.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SAFE_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        current_request_id.set(request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
                given_names = {name for name, _ in headers}
                message["headers"] = [*headers, *(each for each in _ALWAYS if each[0] not in given_names)]
            await send(message)

        return await self._app(scope, receive, send_with_id)
