"""An answer in time, if only that there is none; and a body in time, or none at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.deadline import Deadline
from app.server.shutdown import Lifecycle

pytestmark = pytest.mark.anyio
Route = Callable[..., Awaitable[Any]]


@dataclass
class Exchange:
    """One request: its body in `pieces`, each after so many seconds, then silence; and what was answered."""

    pieces: Sequence[tuple[float, bytes]] = ((0, b""),)
    answered: list[Message] = field(default_factory=list)
    given: int = 0

    async def receive(self) -> Message:
        number, self.given = self.given, self.given + 1
        if number >= len(self.pieces):
            await asyncio.sleep(60)
        seconds, body = self.pieces[number]
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": body, "more_body": number + 1 < len(self.pieces)}

    async def send(self, message: Message) -> None:
        self.answered.append(message)

    async def ask(self, app: ASGIApp) -> tuple[int, dict[str, Any]]:
        """The status and the document."""
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "state": {},
        }
        async with asyncio.timeout(5):
            await app(scope, self.receive, self.send)
        body = b"".join(message.get("body", b"") for message in self.answered)
        return int(self.answered[0]["status"]), json.loads(body)

    def headers(self) -> dict[bytes, bytes]:
        return dict(self.answered[0]["headers"])


def timed(route: Route, seconds: float, lifecycle: Lifecycle | None = None) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Deadline, seconds=seconds, lifecycle=lifecycle or Lifecycle())
    problems.install(app)
    app.post("/")(route)
    return app


def reading(seconds: float) -> FastAPI:
    """Says how long the body was."""

    async def route(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    app = FastAPI()
    app.add_middleware(BodyLimit, max_bytes=1000, seconds=seconds)
    problems.install(app)
    app.post("/")(route)
    return app


async def test_an_answer_in_time_is_passed_on() -> None:
    async def route() -> str:
        await asyncio.sleep(0.01)
        return "in time"

    assert await Exchange().ask(timed(route, 1)) == (200, "in time")


async def test_one_that_comes_too_late_is_given_up_and_told() -> None:
    ended: list[str] = []

    async def route() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cut off")

    status, document = await Exchange().ask(timed(route, 0.05))

    assert (status, document["code"], document["detail"]) == (504, "deadline_exceeded", "no answer within 0.05 s")
    assert ended == ["cut off"]


async def test_a_timeout_of_the_routes_own_is_a_fault_of_its_own() -> None:
    async def route() -> None:
        raise TimeoutError("the route's own")

    exchange = Exchange()
    with pytest.raises(TimeoutError, match="the route's own"):
        await exchange.ask(timed(route, 5))
    assert exchange.answered[0]["status"] == 500


async def test_an_answer_that_has_begun_is_broken_off_and_not_followed_by_another() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(60)

    async def route() -> StreamingResponse:
        return StreamingResponse(pieces())

    exchange = Exchange()
    with pytest.raises(TimeoutError):
        await exchange.ask(timed(route, 0.05))
    assert [message["type"] for message in exchange.answered].count("http.response.start") == 1
    assert exchange.answered[0]["status"] == 200


async def test_what_is_under_way_when_the_service_must_end_is_told_that_it_is_stopping() -> None:
    async def route() -> None:
        await asyncio.sleep(60)

    lifecycle = Lifecycle()
    answer = asyncio.create_task(Exchange().ask(timed(route, 30, lifecycle)))
    await asyncio.sleep(0.05)
    lifecycle.stop()
    lifecycle.abort()
    status, document = await answer

    assert (status, document["code"], document["detail"]) == (503, "overloaded", "shutting down")


async def test_what_is_being_given_up_already_may_be_cut_too() -> None:
    async def route() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)

    lifecycle = Lifecycle()
    answer = asyncio.create_task(Exchange().ask(timed(route, 0.05, lifecycle)))
    await asyncio.sleep(0.1)
    lifecycle.stop()
    lifecycle.abort()

    assert (await answer)[0] in (503, 504)


async def test_what_is_no_request_has_no_deadline() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await asyncio.sleep(0.05)
        seen.append(scope["type"])

    exchange = Exchange()
    for middleware in (Deadline(app, 0.01, Lifecycle()), BodyLimit(app, 1, 0.01)):
        await middleware({"type": "lifespan"}, exchange.receive, exchange.send)
    assert seen == ["lifespan", "lifespan"]


@pytest.mark.parametrize(
    "pieces",
    [
        [(60, b"")],
        [(0, b"x" * 100), (60, b"")],
        [(0.02, b"x")] * 100,
    ],
    ids=["nothing comes", "it stops", "it drips"],
)
async def test_a_body_that_does_not_come_in_time_is_refused(pieces: list[tuple[float, bytes]]) -> None:
    exchange = Exchange(pieces)
    status, document = await exchange.ask(reading(0.1))

    assert (status, document["code"], document["detail"]) == (408, "upload_timeout", "want the body within 0.1 s")
    assert exchange.headers()[b"connection"] == b"close"
    assert exchange.given < 10


async def test_a_body_in_time_is_read_whole() -> None:
    assert await Exchange([(0.02, b"x" * 100)] * 3).ask(reading(1)) == (200, {"bytes": 300})


async def test_work_on_a_body_that_is_here_may_take_longer_than_its_coming() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await receive()
        with pytest.raises(TimeoutError):  # the test's own: nobody leaves
            async with asyncio.timeout(0.2):
                await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1"})

    assert (await Exchange().ask(BodyLimit(app, 1000, 0.05)))[0] == 200
