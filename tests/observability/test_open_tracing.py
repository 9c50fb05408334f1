"""Tracing is an extra: without it the service runs, and says what to install where it is asked for."""

import subprocess
import sys

import pytest

from app.bootstrap.tracing import open_tracing
from app.domain.errors import StartError


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk.trace.export", "opentelemetry.exporter.otlp.proto.http.trace_exporter"]
)
def test_without_the_extra_the_start_stops_with_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delitem(sys.modules, "app.observability.otel", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(StartError, match="install the otel extra"):
        open_tracing("1")


def test_no_exporter_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, app.main, app.observability.tracing; print('opentelemetry.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
