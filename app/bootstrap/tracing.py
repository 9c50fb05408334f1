"""Open tracing, if the optional packages are installed."""

from __future__ import annotations

from app.domain.errors import StartError
from app.observability.tracing import Tracing


def open_tracing(version: str) -> Tracing:
    """Send spans to where the OTEL_* variables say. Raises StartError if the packages are missing."""
    try:
        from app.observability.otel import otlp, tracing_to
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise StartError("LIKENESS_TRACING needs OpenTelemetry: install the otel extra (likeness[otel])") from error
    return tracing_to(otlp(), version)
