"""Record every request: a line in the log, its metrics, and that it is in flight."""

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
    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle, route_names: RouteNames) -> None:
        self._app, self._metrics, self._lifecycle, self._route_names = app, metrics, lifecycle, route_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 500  # what the server answers if the application fails

        async def send_and_track(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # machines request these every few seconds: they are counted, but not logged
        quiet = is_public(route_path(scope)) or route_path(scope) == METRICS
        try:
            if quiet:
                await self._app(scope, receive, send_and_track)
            else:
                with self._metrics.in_flight(), self._lifecycle.in_flight():
                    await self._app(scope, receive, send_and_track)
        except Exception:  # Starlette answers it outside of this middleware
            scope["state"]["problem"] = LikenessError.code
            raise
        finally:
            self._record(scope, status, time.perf_counter() - started, quiet=quiet)

    def _record(self, scope: Scope, status: int, seconds: float, *, quiet: bool) -> None:
        state: dict[str, Any] = scope["state"]
        route = self._route_names.name_of(scope, route_path(scope))
        self._metrics.observe_request(route, scope["method"], status, seconds)
        if timer := state.get("timer"):
            self._metrics.observe_stages(timer.milliseconds())
        if code := state.get("problem"):
            self._metrics.problem(code)
        if not quiet:
            log_request(route, scope["method"], status, 1000 * seconds, _name_of_caller(state))


def _name_of_caller(state: dict[str, Any]) -> str | None:
    """Return the caller's name or, for somebody who was not let in, their whole address: attempts to guess a key."""
    if caller := state.get("caller"):
        return str(caller.name)
    address = state.get("refused_address")
    return f"address:{address}" if address else None
