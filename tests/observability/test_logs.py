"""One record is one line, whatever it carries; and nobody is named in it."""

import asyncio
import json
import logging
import re
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from app.observability import logging
from tests.observability.conftest import Logging

STYLES: list[logs.Style] = ["json", "text"]
FORGED = '2026-01-01T00:00:00.000Z error app forged {"level": "error"}'
BREAKS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
TERMINAL = "\x1b[2K\x9b2J\x7f\u202e\x00"


def document(line: str) -> dict[str, Any]:
    parsed = json.loads(line)
    assert isinstance(parsed, dict)
    return parsed


def raising(message: str) -> None:
    raise ValueError(message)


def test_a_json_line_has_the_fields_of_the_contract(logging_to: Logging) -> None:
    stream = logging_to("json", "info")
    logs.request_id.set("r-1")

    logging.getLogger("app.somewhere").warning("%d faces", 3, extra={"gallery_faces": 7})

    written = document(stream.getvalue())
    when = datetime.fromisoformat(written.pop("time"))
    assert when.tzinfo == UTC
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60
    assert written == {
        "level": "warning",
        "logger": "app.somewhere",
        "request_id": "r-1",
        "message": "3 faces",
        "gallery_faces": 7,
    }


def test_a_text_line_has_them_too(logging_to: Logging) -> None:
    stream = logging_to("text", "info")
    logs.request_id.set("r-1")

    logging.getLogger("app.somewhere").warning("%d faces", 3, extra={"gallery_faces": 7})

    when, rest = stream.getvalue().split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", when)
    assert rest == "warning app.somewhere r-1 3 faces gallery_faces=7\n"


async def _say(name: str) -> None:
    logs.request_id.set(name)
    await asyncio.sleep(0)
    await asyncio.to_thread(logging.getLogger("app").info, name)


def test_lines_of_concurrent_requests_carry_their_own_ids_in_threads_too(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    async def all_of_them() -> None:
        await asyncio.gather(*(_say(f"r-{number}") for number in range(8)))

    asyncio.run(all_of_them())

    written = [document(line) for line in stream.getvalue().splitlines()]
    assert sorted(each["message"] for each in written) == [f"r-{number}" for number in range(8)]
    assert all(each["message"] == each["request_id"] for each in written)


def test_outside_of_a_request_there_is_no_id(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    logging.getLogger("app").info("starting")

    assert document(stream.getvalue())["request_id"] is None


def test_an_exception_is_one_string(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    try:
        raising("no such thing")
    except ValueError:
        logging.getLogger("app").exception("failed")

    written = document(stream.getvalue())
    assert written["message"] == "failed"
    assert written["exception"].startswith("Traceback (most recent call last)")
    assert written["exception"].endswith("ValueError: no such thing")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("end", BREAKS)
def test_a_message_cannot_forge_a_second_line(logging_to: Logging, style: logs.Style, end: str) -> None:
    stream = logging_to(style, "info")

    logging.getLogger("app").info("harmless%s", end + FORGED, extra={"also": end + FORGED})

    written = stream.getvalue()
    assert written.endswith("\n")
    assert len(written.splitlines()) == 1
    assert written.count("forged") == 2


@pytest.mark.parametrize("end", BREAKS)
def test_an_exception_cannot_forge_a_record(logging_to: Logging, end: str) -> None:
    stream = logging_to("text", "info")

    try:
        raising(end + FORGED)
    except ValueError:
        logging.getLogger("app").exception("failed")

    record, *below = stream.getvalue().splitlines()
    assert record.endswith("failed")
    assert "forged" in below[-1]
    assert all(line.startswith("    ") for line in below)


def test_an_exception_with_line_ends_is_still_one_json_line(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    try:
        raising("\n" + FORGED)
    except ValueError:
        logging.getLogger("app").exception("failed")

    assert FORGED in document(stream.getvalue())["exception"]


@pytest.mark.parametrize("style", STYLES)
def test_no_control_character_reaches_a_terminal(logging_to: Logging, style: logs.Style) -> None:
    stream = logging_to(style, "info")

    logging.getLogger("app").info("harmless" + TERMINAL, extra={"also": TERMINAL})

    assert stream.getvalue().rstrip("\n").isprintable()


def test_a_request_is_one_line_without_path_or_query(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    logs.log_request("/galleries/{gallery_id}", "GET", 200, 12.3456, "k1")

    written = document(stream.getvalue())
    del written["time"]
    assert written == {
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
def test_what_we_failed_to_answer_is_a_warning(logging_to: Logging, status: int, level: str) -> None:
    stream = logging_to("json", "info")

    logs.log_request("/verify", "POST", status, 1, None)

    assert document(stream.getvalue())["level"] == level


def test_uvicorn_writes_in_our_style_and_its_access_log_is_silent(logging_to: Logging) -> None:
    stream = logging_to("json", "debug")

    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[36mStarted\x1b[0m"})
    logging.getLogger("uvicorn.access").critical('"GET /galleries/g/subjects/ada?x=1 HTTP/1.1" 200')

    written = document(stream.getvalue())
    assert (written["logger"], written["message"]) == ("uvicorn.error", "Started")
    assert "color_message" not in written
    assert not logging.getLogger("uvicorn.access").hasHandlers()  # so uvicorn does not even put the line together


def test_debugging_us_does_not_debug_the_packages_below_us(logging_to: Logging) -> None:
    stream = logging_to("json", "debug")

    logging.getLogger("PIL.TiffImagePlugin").debug("tag: GPSInfo - value: 51.5")
    logging.getLogger("app.images").debug("ours")

    assert document(stream.getvalue())["message"] == "ours"


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_a_level_silences_what_is_below_it(logging_to: Logging, level: str, heard: int) -> None:
    stream = logging_to("json", level)

    for each in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("app").log(each, "said")

    assert len(stream.getvalue().splitlines()) == heard


def test_a_warning_of_python_is_a_line_as_well(logging_to: Logging) -> None:
    stream = logging_to("json", "info")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)  # catch_warnings put back what configure had set
        warnings.warn("deprecated", stacklevel=1)

    assert "deprecated" in document(stream.getvalue())["message"]


def test_configuring_twice_does_not_say_everything_twice(logging_to: Logging) -> None:
    logging_to("text", "info")
    stream = logging_to("json", "info")

    logging.getLogger("app").info("once")

    assert document(stream.getvalue())["message"] == "once"


def test_all_that_a_server_says_is_one_json_object_a_line_and_names_nobody() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.observability.served"], capture_output=True, text=True, check=True, timeout=60
    )
    written = [document(line) for line in done.stderr.splitlines()]
    failures = [each for each in written if "exception" in each]

    assert done.stdout == ""
    assert [each["logger"] for each in failures] == ["uvicorn.error"]
    assert failures[0]["exception"].endswith("RuntimeError: it broke\nhere")
    assert failures[0]["request_id"] == "r-1"
    assert any(each["message"].startswith("Uvicorn running") for each in written)
    assert any(each["message"].startswith("Finished server process") for each in written)
    assert "ada" not in done.stderr
    assert "secret" not in done.stderr
