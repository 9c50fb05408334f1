"""One record is one line, whatever it contains, and no line contains a name."""

import asyncio
import json
import logging
import re
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from app.observability import logging as service_logging
from tests.unit.observability.conftest import Logging

STYLES: list[service_logging.Style] = ["json", "text"]
FORGED = '2026-01-01T00:00:00.000Z error app forged {"level": "error"}'
BREAKS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
TERMINAL = "\x1b[2K\x9b2J\x7f\u202e\x00"


def parse(line: str) -> dict[str, Any]:
    parsed = json.loads(line)
    assert isinstance(parsed, dict)
    return parsed


def log_exception(message: str) -> None:
    try:
        raise ValueError(message)
    except ValueError:
        logging.getLogger("app").exception("failed")


def log_with_extra() -> None:
    service_logging.request_id.set("r-1")
    logging.getLogger("app.somewhere").warning("%d faces", 3, extra={"gallery_faces": 7})


def test_json_line_has_the_fields_of_the_contract(logging_to: Logging) -> None:
    stream = logging_to("json", "info")
    log_with_extra()
    fields = parse(stream.getvalue())
    when = datetime.fromisoformat(fields.pop("time"))
    assert when.tzinfo == UTC
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60
    assert fields == {
        "level": "warning",
        "logger": "app.somewhere",
        "request_id": "r-1",
        "message": "3 faces",
        "gallery_faces": 7,
    }


def test_text_line_has_the_same_fields(logging_to: Logging) -> None:
    stream = logging_to("text", "info")
    log_with_extra()
    when, rest = stream.getvalue().split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", when)
    assert rest == "warning app.somewhere r-1 3 faces gallery_faces=7\n"


def test_records_have_the_id_of_their_own_request_also_on_threads(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    async def log_in_thread(name: str) -> None:
        service_logging.request_id.set(name)
        await asyncio.sleep(0)
        await asyncio.to_thread(logging.getLogger("app").info, name)

    async def log_all() -> None:
        await asyncio.gather(*(log_in_thread(f"r-{number}") for number in range(8)))

    asyncio.run(log_all())
    lines = [parse(line) for line in stream.getvalue().splitlines()]
    assert sorted(each["message"] for each in lines) == [f"r-{number}" for number in range(8)]
    assert all(each["message"] == each["request_id"] for each in lines)


def test_record_outside_of_a_request_has_no_id(logging_to: Logging) -> None:
    stream = logging_to("json", "info")
    logging.getLogger("app").info("starting")
    assert parse(stream.getvalue())["request_id"] is None


def test_exception_is_one_string_in_one_json_line(logging_to: Logging) -> None:
    stream = logging_to("json", "info")
    log_exception("\n" + FORGED)
    fields = parse(stream.getvalue())
    assert fields["message"] == "failed"
    assert fields["exception"].startswith("Traceback (most recent call last)")
    assert fields["exception"].endswith("ValueError: \n" + FORGED)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("end", BREAKS)
def test_message_cannot_forge_a_second_line(logging_to: Logging, style: service_logging.Style, end: str) -> None:
    stream = logging_to(style, "info")
    logging.getLogger("app").info("harmless%s", end + FORGED, extra={"also": end + FORGED})
    text = stream.getvalue()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert text.count("forged") == 2


@pytest.mark.parametrize("end", BREAKS)
def test_exception_cannot_forge_a_text_record(logging_to: Logging, end: str) -> None:
    stream = logging_to("text", "info")
    log_exception(end + FORGED)
    record, *traceback = stream.getvalue().splitlines()
    assert record.endswith("failed")
    assert "forged" in traceback[-1]
    assert all(line.startswith("    ") for line in traceback)


@pytest.mark.parametrize("style", STYLES)
def test_control_characters_are_escaped(logging_to: Logging, style: service_logging.Style) -> None:
    stream = logging_to(style, "info")
    logging.getLogger("app").info("harmless" + TERMINAL, extra={"also": TERMINAL})
    assert stream.getvalue().rstrip("\n").isprintable()


def test_request_is_one_line_without_path_or_query(logging_to: Logging) -> None:
    stream = logging_to("json", "info")
    service_logging.log_request("/galleries/{gallery_id}", "GET", 200, 12.3456, "k1")
    fields = parse(stream.getvalue())
    del fields["time"]
    assert fields == {
        "level": "info",
        "logger": "app.access",
        "request_id": None,
        "message": "answered",
        "route": "/galleries/{gallery_id}",
        "method": "GET",
        "status": 200,
        "ms": 12.3,
        "caller": "k1",
    }


@pytest.mark.parametrize(("status", "level"), [(499, "info"), (500, "warning"), (503, "warning")])
def test_server_error_is_logged_as_a_warning(logging_to: Logging, status: int, level: str) -> None:
    stream = logging_to("json", "info")
    service_logging.log_request("/verify", "POST", status, 1, None)
    assert parse(stream.getvalue())["level"] == level


def test_uvicorn_logs_in_the_same_style_and_its_access_log_is_silent(logging_to: Logging) -> None:
    stream = logging_to("json", "debug")
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[36mStarted\x1b[0m"})
    logging.getLogger("uvicorn.access").critical('"GET /galleries/g/subjects/ada?x=1 HTTP/1.1" 200')
    fields = parse(stream.getvalue())
    assert (fields["logger"], fields["message"]) == ("uvicorn.error", "Started")
    assert "color_message" not in fields
    assert not logging.getLogger("uvicorn.access").hasHandlers()  # so uvicorn does not even format the line


def test_debug_level_does_not_apply_to_other_packages(logging_to: Logging) -> None:
    stream = logging_to("json", "debug")
    logging.getLogger("PIL.TiffImagePlugin").debug("tag: GPSInfo - value: 51.5")
    logging.getLogger("app.images").debug("ours")
    assert parse(stream.getvalue())["message"] == "ours"


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_records_below_the_level_are_dropped(logging_to: Logging, level: str, lines: int) -> None:
    stream = logging_to("json", level)
    for each in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("app").log(each, "message")
    assert len(stream.getvalue().splitlines()) == lines


def test_python_warning_is_a_line_too(logging_to: Logging) -> None:
    stream = logging_to("json", "info")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)  # catch_warnings has undone what configure_logging had set
        warnings.warn("deprecated", stacklevel=1)
    assert "deprecated" in parse(stream.getvalue())["message"]


def test_second_configuration_replaces_the_first(logging_to: Logging) -> None:
    logging_to("text", "info")
    stream = logging_to("json", "info")
    logging.getLogger("app").info("once")
    assert parse(stream.getvalue())["message"] == "once"
