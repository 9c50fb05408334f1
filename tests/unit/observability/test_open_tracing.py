"""Tracing is an optional extra."""

import sys

import pytest

from app.bootstrap.tracing import open_tracing
from app.domain.errors import StartError


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk.trace.export", "opentelemetry.exporter.otlp.proto.http.trace_exporter"]
)
def test_tracing_without_the_extra_stops_the_start_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delitem(sys.modules, "app.observability.otel", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(StartError, match="install the otel extra"):
        open_tracing("1")
