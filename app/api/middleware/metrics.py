"""What is told of every request: one line in the log, its metrics, and that it is under way. Plain ASGI."""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.auth import METRICS, is_public, route_path
from app.domain.errors import LikenessError
from app.observability.logging import log_request
from app.observability.metrics import Metrics
from app.observability.route_names import RouteNames
from app.server.shutdown import Lifecycle


class RequestMetrics:
    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle, templates: RouteNames) -> None:
        self._app, self._metrics, self._lifecycle, self._templates = app, metrics, lifecycle, templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 500  # what the server answers where no answer was begun

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # asked for every few seconds: counted, but not in the log
        quiet = is_public(route_path(scope)) or route_path(scope) == METRICS
        try:
            if quiet:
                await self._app(scope, receive, send_and_note)
            else:
                with self._metrics.in_flight(), self._lifecycle.in_flight():
                    await self._app(scope, receive, send_and_note)
        except Exception:  # answered outside of here, by the framework's last resort
            scope["state"]["problem"] = LikenessError.code
            raise
        finally:
            self._tell(scope, status, time.perf_counter() - started, quiet=quiet)

    def _tell(self, scope: Scope, status: int, seconds: float, *, quiet: bool) -> None:
        state: dict[str, Any] = scope["state"]
        route = self._templates.of(scope, route_path(scope))
        self._metrics.answered(route, scope["method"], status, seconds)
        if timer := state.get("timer"):
            self._metrics.stages(timer.milliseconds())
        if code := state.get("problem"):
            self._metrics.problem(code)
        if not quiet:
            caller = state.get("caller")
            log_request(route, scope["method"], status, 1000 * seconds, caller.name if caller else None)
