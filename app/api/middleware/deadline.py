"""Limit the time that a request may take."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.error_handlers import error_response
from app.api.middleware.long_requests import is_long
from app.domain.errors import DeadlineExceeded, Overloaded
from app.server.shutdown import Lifecycle


class Deadline:
    """Answers 504 after `seconds`, or 503 if the service stops before the response has started."""

    def __init__(self, app: ASGIApp, seconds: float, long_seconds: float, lifecycle: Lifecycle) -> None:
        self._app, self._seconds, self._long_seconds, self._lifecycle = app, seconds, long_seconds, lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, seconds = False, self._long_seconds if is_long(scope) else self._seconds

        async def send_and_track(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(seconds) as limit:
                with self._lifecycle.abortable(limit):
                    await self._app(scope, receive, send_and_track)
        except TimeoutError:
            if started or not limit.expired():
                raise
            error = (
                Overloaded("shutting down")
                if self._lifecycle.draining
                else DeadlineExceeded(f"no answer within {seconds:g} s")
            )
            await error_response(Request(scope), error)(scope, receive, send)
