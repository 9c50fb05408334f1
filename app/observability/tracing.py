"""Traces, where the extra `otel` is installed; OTEL_* variables say where they go (OTEL_EXPORTER_OTLP_ENDPOINT)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from starlette.types import ASGIApp

from app.domain.errors import StartError


@dataclass(frozen=True, slots=True)
class Tracing:
    """What the rest of the service needs of it: nobody else knows OpenTelemetry."""

    middleware: Callable[[ASGIApp], ASGIApp]
    """A span a request."""
    span: Callable[[str], AbstractContextManager[object]]
    """A child span; inside of no traced request it does nothing."""
    close: Callable[[], None]
    """Sends what is left; blocks for up to three seconds where nobody takes it."""


NO_TRACING = Tracing(lambda app: app, nullcontext, lambda: None)


def open_tracing(version: str) -> Tracing:
    """Raises StartError where the packages are missing."""
    try:
        from app.observability.spans import otlp, tracing_to
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise StartError("LIKENESS_TRACING needs OpenTelemetry: install the otel extra (likeness[otel])") from error
    return tracing_to(otlp(), version)
