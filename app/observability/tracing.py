"""What the service needs of tracing; app/observability/otel.py implements it with OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Tracing:
    middleware: Callable[[ASGIApp], ASGIApp]
    """Record a span a request."""
    span: Callable[[str], AbstractContextManager[object]]
    """Open a child span; outside a traced request it does nothing."""
    close: Callable[[], None]
    """Send what is left; blocks for up to three seconds if no collector answers."""


NO_TRACING = Tracing(lambda app: app, nullcontext, lambda: None)
