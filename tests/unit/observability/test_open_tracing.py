"""Tracing is an optional extra."""

import subprocess
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


def test_service_without_tracing_does_not_import_opentelemetry() -> None:
    code = "import sys, app.main, app.observability.tracing; print('opentelemetry.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
