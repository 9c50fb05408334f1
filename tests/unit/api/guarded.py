"""A service with nothing but authentication, rate limits and the lifecycle."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI, HTTPException, Request
from starlette.testclient import TestClient
from starlette.types import Message

from app.access.api_keys import KeyStore
from app.access.authenticator import Auth, Authenticator
from app.access.rate_limiter import RateLimiter
from app.api import error_handlers
from app.api.json_body import BodyLimits
from app.api.middleware.auth import Authentication, caller_of
from app.api.middleware.deadline import Deadline
from app.api.middleware.request_id import RequestId
from app.api.state import AppState, set_state
from app.domain.errors import Forbidden
from app.observability.metrics import Metrics
from app.server.shutdown import Lifecycle
from app.services.container import Services


class Guarded:
    """`/who` answers with the caller's name, `/held` when `held` is set, `/forbidden` and `/busy` with errors."""

    def __init__(
        self,
        keys: KeyStore,
        auth: Auth = "auto",
        *,
        rate: int = 0,
        concurrent: int = 0,
        reachable: bool = False,
        deadline: float = 10.0,
    ) -> None:
        self.lifecycle, self.held = Lifecycle(), asyncio.Event()
        self.app = FastAPI()
        services = cast("Services", SimpleNamespace(authenticator=Authenticator(keys, auth, reachable=reachable)))
        set_state(self.app, AppState(self.lifecycle, Metrics(), nullcontext, BodyLimits(0, 0), services))
        self.app.add_middleware(Deadline, seconds=deadline, long_seconds=3600, lifecycle=self.lifecycle)
        self.app.add_middleware(Authentication, rate_limiter=RateLimiter(rate, concurrent), lifecycle=self.lifecycle)
        self.app.add_middleware(RequestId)
        error_handlers.install(self.app)
        routes: dict[str, Callable[..., Any]] = {
            "/who": self._who,
            "/metrics": self._who,
            "/healthz": self._alive,
            "/held": self._held,
            "/forbidden": self._forbidden,
            "/busy": self._busy,
        }
        for path, route in routes.items():
            self.app.get(path)(route)
        self.client = TestClient(self.app, base_url="http://127.0.0.1", client=("192.0.2.1", 50000))

    async def _who(self, request: Request) -> str:
        return caller_of(request).name

    async def _alive(self) -> str:
        return "alive"

    async def _held(self) -> str:
        await self.held.wait()
        return "let go"

    async def _forbidden(self) -> None:
        raise Forbidden("not for you")

    async def _busy(self) -> None:
        raise HTTPException(413, "too much")


class UnreadBody:
    """A request whose body must not be read, and the response to it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def receive(self) -> Message:
        raise AssertionError("the body was read")

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def post(self, app: Any, path: str, **headers: str) -> int:
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 50000),
            "state": {},
        }
        await app(scope, self.receive, self.send)
        return int(self.messages[0]["status"])


async def settled() -> None:
    """Let the tasks that were started run as far as they can."""
    for _ in range(50):
        await asyncio.sleep(0)
