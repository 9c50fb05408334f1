"""Bound the time in which a request is answered."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.domain.errors import DeadlineExceeded, Overloaded
from app.server.shutdown import Lifecycle


class Deadline:
    """Answer 504 after `seconds`, or 503 when the service stops before the request is answered."""

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
            await problems.answer(Request(scope), error)(scope, receive, send)
