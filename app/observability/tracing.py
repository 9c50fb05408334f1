"""The interface of tracing; app/observability/otel.py implements it with OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Tracing:
    middleware: Callable[[ASGIApp], ASGIApp]
    """Records a span per request."""
    span: Callable[[str], AbstractContextManager[object]]
    """Opens a child span; without effect outside a traced request."""
    close: Callable[[], None]
    """Sends the remaining spans; blocks for up to three seconds if no collector answers."""


NO_TRACING = Tracing(lambda app: app, nullcontext, lambda: None)
