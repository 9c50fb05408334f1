"""Route by the path as it was sent, so that ids may contain slashes, and accept the prefix /v1."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/v1"


class RawPath:
    """
    Gives routes the path as it was sent, still percent-encoded, so that an id may contain a slash.

    `/v1` becomes the root path: every route, including the documentation, is reachable under it.
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
