"""A request is answered within its deadline, and its body must arrive in time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import error_handlers
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.deadline import Deadline
from app.server.shutdown import Lifecycle

pytestmark = pytest.mark.anyio


@dataclass
class Exchange:
    """One request, whose body arrives in `pieces` of (seconds to wait, bytes), and the messages of the response."""

    pieces: Sequence[tuple[float, bytes]] = ((0, b""),)
    messages: list[Message] = field(default_factory=list)
    received: int = 0

    async def receive(self) -> Message:
        number, self.received = self.received, self.received + 1
        if number >= len(self.pieces):
            await asyncio.sleep(60)
        seconds, body = self.pieces[number]
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": body, "more_body": number + 1 < len(self.pieces)}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def ask(self, app: ASGIApp) -> tuple[int, Any]:
        """Return the status and the document."""
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers, "state": {}}
        async with asyncio.timeout(5):
            await app(scope, self.receive, self.send)
        body = b"".join(message.get("body", b"") for message in self.messages)
        return int(self.messages[0]["status"]), json.loads(body)


@dataclass
class Sleeper:
    """A route that sleeps, and then for `after` more seconds when it is cancelled."""

    seconds: float = 60
    after: float = 0
    cancelled: bool = False

    async def route(self) -> str:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            await asyncio.sleep(self.after)
            raise
        return "in time"


def application(route: Callable[..., Awaitable[Any]], middleware: Any, **options: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(middleware, **options)
    error_handlers.install(app)
    app.post("/")(route)
    return app


def timed(route: Callable[..., Awaitable[Any]], seconds: float, lifecycle: Lifecycle | None = None) -> FastAPI:
    return application(route, Deadline, seconds=seconds, long_seconds=seconds, lifecycle=lifecycle or Lifecycle())


def reading(seconds: float) -> FastAPI:
    """Return an application that answers with the length of the body."""

    async def route(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    return application(route, BodyLimit, max_bytes=1000, seconds=seconds)


async def test_response_in_time_is_passed_on() -> None:
    assert await Exchange().ask(timed(Sleeper(0.01).route, 1)) == (200, "in time")


async def test_late_response_is_replaced_by_504_and_its_route_cancelled() -> None:
    sleeper = Sleeper()
    status, document = await Exchange().ask(timed(sleeper.route, 0.05))

    assert (status, document["code"], document["detail"]) == (504, "deadline_exceeded", "no answer within 0.05 s")
    assert sleeper.cancelled


async def test_timeout_error_of_a_route_is_not_a_missed_deadline() -> None:
    async def route() -> None:
        raise TimeoutError("own")

    exchange = Exchange()
    with pytest.raises(TimeoutError, match="own"):
        await exchange.ask(timed(route, 5))
    assert exchange.messages[0]["status"] == 500


async def test_response_that_has_started_is_broken_off_without_a_second_one() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"started"
        await asyncio.sleep(60)

    async def route() -> StreamingResponse:
        return StreamingResponse(pieces())

    exchange = Exchange()
    with pytest.raises(TimeoutError):
        await exchange.ask(timed(route, 0.05))
    assert [message["type"] for message in exchange.messages].count("http.response.start") == 1
    assert exchange.messages[0]["status"] == 200


@pytest.mark.parametrize(
    ("sleeper", "seconds", "answers"),
    [
        (Sleeper(), 30, {(503, "overloaded")}),
        (Sleeper(after=0.2), 0.05, {(503, "overloaded"), (504, "deadline_exceeded")}),
    ],
    ids=["running", "being cancelled"],
)
async def test_request_in_flight_at_the_end_of_the_shutdown_is_aborted(
    sleeper: Sleeper, seconds: float, answers: set[tuple[int, str]]
) -> None:
    lifecycle = Lifecycle()
    answer = asyncio.create_task(Exchange().ask(timed(sleeper.route, seconds, lifecycle)))
    await asyncio.sleep(0.1)
    lifecycle.stop()
    lifecycle.abort()
    status, document = await answer

    assert (status, document["code"]) in answers
    assert sleeper.cancelled


async def test_lifespan_has_no_deadline() -> None:
    types: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await asyncio.sleep(0.05)
        types.append(scope["type"])

    exchange = Exchange()
    for middleware in (Deadline(app, 0.01, 0.01, Lifecycle()), BodyLimit(app, 1, 0.01)):
        await middleware({"type": "lifespan"}, exchange.receive, exchange.send)
    assert types == ["lifespan", "lifespan"]


@pytest.mark.parametrize(
    "pieces",
    [[(60, b"")], [(0, b"x" * 100), (60, b"")], [(0.02, b"x")] * 100],
    ids=["nothing", "stops", "drips"],
)
async def test_body_that_does_not_arrive_in_time_is_refused(pieces: list[tuple[float, bytes]]) -> None:
    exchange = Exchange(pieces)
    status, document = await exchange.ask(reading(0.1))

    assert (status, document["code"], document["detail"]) == (408, "upload_timeout", "expected the body within 0.1 s")
    assert dict(exchange.messages[0]["headers"])[b"connection"] == b"close"
    assert exchange.received < 10


async def test_body_in_time_is_read_completely() -> None:
    assert await Exchange([(0.02, b"x" * 100)] * 3).ask(reading(1)) == (200, {"bytes": 300})


async def test_processing_may_take_longer_than_the_body_timeout() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await receive()
        with pytest.raises(TimeoutError):  # of this test: the client does not disconnect
            async with asyncio.timeout(0.2):
                await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1"})

    assert (await Exchange().ask(BodyLimit(app, 1000, 0.05)))[0] == 200
