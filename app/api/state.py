"""The state that the routes and the middleware of an application share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from fastapi import FastAPI

from app.api.json_body import BodyLimits
from app.domain.errors import Overloaded
from app.observability.metrics import Metrics
from app.server.shutdown import Lifecycle
from app.services.container import Services


@dataclass(frozen=True, slots=True)
class AppState:
    """The shared objects; `services` is None before the application has started and after it has stopped."""

    lifecycle: Lifecycle
    metrics: Metrics
    span: Callable[[str], AbstractContextManager[object]]
    """Opens a tracing span of that name."""
    body_limits: BodyLimits
    services: Services | None = None

    @property
    def is_ready(self) -> bool:
        return self.services is not None and not self.lifecycle.stopping

    def require_services(self) -> Services:
        """Raises Overloaded if the application has not started, or has stopped."""
        if self.services is None:
            raise Overloaded("starting or shutting down")
        return self.services


def state_of(app: FastAPI) -> AppState:
    state: object = app.state
    assert isinstance(state, AppState)  # noqa: S101 - set by set_state
    return state


def set_state(app: FastAPI, state: AppState) -> None:
    """Replace Starlette's untyped `app.state` by `state`."""
    app.state = state  # type: ignore[assignment]
