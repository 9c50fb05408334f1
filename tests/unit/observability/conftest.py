"""Read metrics as Prometheus does, and capture the log of a configured service."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.observability import logging as service_logging
from app.observability.metrics import Metrics

Sample = Callable[..., float | None]
Logging = Callable[[service_logging.Style, str], io.StringIO]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def sample(metrics: Metrics) -> Sample:
    """Return the value of the series with this name and exactly these labels, or None."""

    def read(name: str, **labels: str) -> float | None:
        text = metrics.render().decode()
        found = [
            each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
            if each.name == name and each.labels == labels
        ]
        assert len(found) <= 1
        return found[0] if found else None

    return read


@pytest.fixture
def logging_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logging]:
    """Configures logging as the service does, on a stream of the test, and restores it afterwards."""
    named = ["", service_logging.SERVICE_LOGGER, "uvicorn", "uvicorn.error", "uvicorn.access"]
    before = {name: _state(logging.getLogger(name)) for name in named}

    def configure(style: service_logging.Style, level: str) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        service_logging.configure_logging(style, level)
        return stream

    service_logging.request_id.set(None)
    with warnings.catch_warnings():
        yield configure
        logging.captureWarnings(capture=False)
    for name, (handlers, level, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
    service_logging.request_id.set(None)


def _state(logger: logging.Logger) -> tuple[list[Any], int, bool]:
    return list(logger.handlers), logger.level, logger.propagate
