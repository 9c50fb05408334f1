"""Answers to an import are sent while it goes on, and reading stops for a client that takes none."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from app.api.ndjson import ImportAnswers
from app.api.problems import ProblemContext
from app.domain.errors import DeadlineExceeded, InvalidRequest, ServiceError
from app.gallery.records import ImportOutcome
from app.services.gallery_import import LineResult

pytestmark = pytest.mark.anyio
CONTEXT = ProblemContext("/galleries/g/import", "request")


def result(number: int, subject: str = "ada") -> LineResult:
    return LineResult(number, subject, ImportOutcome(subject, "created", 1))


async def nothing_to_receive() -> Message:
    raise AssertionError("an answer must not read the request")


async def answers(results: AsyncIterator[list[LineResult]]) -> list[dict[str, Any]]:
    body = bytearray()

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    await ImportAnswers(results, CONTEXT)({}, nothing_to_receive, send)
    return [json.loads(line) for line in body.splitlines()]


async def test_each_line_has_an_answer_and_an_error_its_code() -> None:
    async def results() -> AsyncIterator[list[LineResult]]:
        yield [result(2), LineResult(3, None, InvalidRequest("bad"))]

    assert await answers(results()) == [
        {"line": 1, "subject_id": None, "status": "header", "faces": 0, "error": None},
        {"line": 2, "subject_id": "ada", "status": "created", "faces": 1, "error": None},
        {
            "line": 3,
            "subject_id": None,
            "status": "error",
            "faces": 0,
            "error": {"code": "invalid_request", "detail": "bad"},
        },
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeadlineExceeded("late"), "deadline_exceeded"),
        (HTTPException(408, "slow"), "upload_timeout"),
        (ServiceError("a secret cause"), "internal_error"),
    ],
)
async def test_an_import_that_ends_early_says_so_last(error: Exception, code: str) -> None:
    async def results() -> AsyncIterator[list[LineResult]]:
        yield [result(2)]
        raise error

    *_, done, last = await answers(results())
    assert done["status"] == "created"
    assert (last["line"], last["status"], last["error"]["code"]) == (None, "error", code)
    assert "secret" not in str(last)


@pytest.mark.slow
async def test_a_client_that_reads_nothing_stops_the_import_until_it_does() -> None:
    imported, reads = 0, asyncio.Event()

    async def results() -> AsyncIterator[list[LineResult]]:
        nonlocal imported
        for _ in range(30):
            imported += 1
            yield [result(number, "s" * 100) for number in range(5_000)]

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await reads.wait()

    answering = asyncio.create_task(ImportAnswers(results(), CONTEXT)({}, nothing_to_receive, send))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert 0 < imported < 30
    reads.set()
    await answering
    assert imported == 30


async def test_a_failure_of_the_service_ends_the_answer_without_its_end() -> None:
    sent: list[Message] = []

    async def results() -> AsyncIterator[list[LineResult]]:
        yield [result(2)]
        raise RuntimeError("a bug")

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError):
        await ImportAnswers(results(), CONTEXT)({}, nothing_to_receive, send)
    assert sent[-1].get("more_body", True)
