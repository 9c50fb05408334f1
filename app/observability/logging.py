"""
Configure logging: one record per line, as JSON or as text, whatever characters a message or an exception contains.

Pixels, vectors, metadata values, query strings, paths and ids of subjects must not be logged. Therefore uvicorn's
access log is off, and the loggers of other packages have at least the level `info`: Pillow, for example, logs the EXIF
tags of a photo for debugging.
"""

from __future__ import annotations

import logging
import logging.config
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypeAlias

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

Style: TypeAlias = Literal["json", "text"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that the current task or thread works for; every log record contains it."""

SERVICE_LOGGER = "app"
_NOT_EXTRA = frozenset(RESERVED_ATTRS) | {"color_message", "taskName"}  # uvicorn's for terminals; Python's from 3.12
_SILENT = {"handlers": [], "level": logging.CRITICAL + 1, "propagate": False}

access = logging.getLogger("app.access")


def configure_logging(style: Style, level: str, worker: int | None = None) -> None:
    """
    Write all log records of the process to stderr in one style. Start uvicorn with `log_config=None`.

    If several processes serve, `worker` identifies this one in each of its records.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": JsonLine if style == "json" else TextLine}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": max(_number(level), logging.INFO)},
            "loggers": {
                SERVICE_LOGGER: {"level": _number(level)},
                "uvicorn": {"handlers": [], "level": "NOTSET", "propagate": True},
                "uvicorn.error": {"handlers": [], "level": "NOTSET", "propagate": True},
                # their messages quote the request; the response already says what is wrong with it
                **dict.fromkeys(("uvicorn.access", "PIL", "python_multipart"), _SILENT),
            },
        }
    )
    if worker is not None:
        for handler in logging.getLogger().handlers:
            handler.addFilter(partial(_add_worker, worker))
    warnings.filterwarnings(
        "ignore", module=r"PIL\."
    )  # warnings about metadata, with which a caller could fill the log
    logging.captureWarnings(capture=True)


def log_request(route: str, method: str, status: int, milliseconds: float, caller: str | None) -> None:
    """Log a request. `route` is the template, never the path; `caller` is the id of a key, or an address."""
    access.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "answered",
        extra={"route": route, "method": method, "status": status, "ms": round(milliseconds, 1), "caller": caller},
    )


class JsonLine(JsonFormatter):
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data.update(_fields(record))
        log_data.update(_extras(record))
        for name, field in (("exc_info", "exception"), ("stack_info", "stack")):
            if name in message_dict:
                log_data[field] = message_dict[name]


class TextLine(logging.Formatter):
    """Text for people. The lines of a traceback are indented, so that none of them can look like a record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        extras = "".join(f" {name}={value!r}" for name, value in _extras(record))
        fields["request_id"] = fields["request_id"] or "-"
        first = _printable(" ".join(map(str, fields.values())) + extras)
        return "\n".join([first, *(f"    {_printable(line)}" for line in self._traceback(record))])

    def _traceback(self, record: logging.LogRecord) -> list[str]:
        exception = self.formatException(record.exc_info) if record.exc_info else ""
        return [*exception.splitlines(), *(record.stack_info or "").splitlines()]


def _add_worker(worker: int, record: logging.LogRecord) -> bool:
    record.worker = worker
    return True


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "request_id": request_id.get(),
        "message": record.getMessage().rstrip(),
    }


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(record).items() if name not in _NOT_EXTRA)


def _printable(text: str) -> str:
    """Escape line ends, terminal sequences, and characters that change the reading direction."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
