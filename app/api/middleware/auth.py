"""Before a request is read: is there room for it, whose is it, and may they ask this often? Plain ASGI."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.authenticator import is_address, network_of
from app.access.rate_limiter import Allowance, RateLimiter, whole_seconds
from app.api.problems import answer
from app.domain.errors import AccessError, Forbidden, Overloaded, Unauthorized
from app.domain.identity import Actor, Caller, anyone
from app.server.shutdown import Lifecycle
from app.services.container import Services

PROBES = ("/healthz", "/readyz")
METRICS = "/metrics"
PUBLIC = (*PROBES, "/openapi.json", "/docs")


class Authentication:
    """
    Everything but the public paths needs a caller, whether a route asks for one or not: what nobody thought of is shut.

    Refused before the body is read. The scope that a route needs is declared with the route (see dependencies.py).
    """

    def __init__(self, app: ASGIApp, limits: RateLimiter, lifecycle: Lifecycle) -> None:
        self._app, self._limits, self._lifecycle = app, limits, lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_public(route_path(scope)):
            return await self._app(scope, receive, send)
        try:
            caller, refused = self._caller(scope)
            if allowance := self._limits.take(caller):
                send = _telling(send, allowance)
                allowance.require()
            if refused:
                raise refused
            scope["state"]["caller"] = caller
            with self._limits.inside(caller):
                await self._app(scope, receive, send)
        except (AccessError, Overloaded) as error:
            await answer(Request(scope), error)(scope, receive, send)

    def _caller(self, scope: Scope) -> tuple[Caller, Unauthorized | None]:
        """Who asks; where their key does not hold, their address, which is counted: nobody tries keys without end."""
        services: Services | None = getattr(scope["app"].state, "services", None)
        if services is None or (self._lifecycle.draining and route_path(scope) != METRICS):
            raise Overloaded("starting, or shutting down")
        client: Sequence[object] = scope.get("client") or ("unknown",)
        headers, address = Headers(scope=scope), str(client[0])
        if services.authenticator.loopback_only() and _from_another_page(headers):
            raise Forbidden("without keys, only local pages and host names are accepted (see docs/operations/keys.md)")
        try:
            return services.authenticator.caller(_keys_in(headers), address), None
        except Unauthorized as error:
            return anyone(f"address:{network_of(address)}"), error


def route_path(scope: Scope) -> str:
    """The path as routes see it: without /v1."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith("/docs/")


def caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def actor_of(request: Request) -> Actor:
    return Actor(caller_of(request).name, str(request.state.request_id))


def _from_another_page(headers: Headers) -> bool:
    """
    Whether a browser may ask for a page of somebody else: by a form to 127.0.0.1, or by a name of theirs that was made
    to point there (DNS rebinding).
    """
    origin, host = headers.get("origin"), headers.get("host", "")
    if headers.get("sec-fetch-site") == "cross-site" or (origin is not None and not _is_local(origin)):
        return True
    return bool(host) and not _is_local(f"//{host}")  # HTTP/1.0 knows no Host, and no browser speaks it


def _is_local(url: str) -> bool:
    """Whether nobody else can own its name: an address, a name without a dot, `*.localhost`, `*.internal`."""
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    name = name.rstrip(".")
    return bool(name) and (is_address(name) or "." not in name or name.endswith((".localhost", ".internal")))


def _keys_in(headers: Headers) -> set[str]:
    """What was given as a key, in whichever header and however often."""
    bearers = [each.partition(" ") for each in headers.getlist("authorization")]
    given = [key for scheme, _, key in bearers if scheme.lower() == "bearer"] + headers.getlist("x-api-key")
    return {key.strip() for key in given} - {""}


def _telling(send: Send, allowance: Allowance) -> Send:
    """The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-06, which clients read today."""

    async def send_with_allowance(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["RateLimit-Limit"] = str(allowance.limit)
            headers["RateLimit-Remaining"] = str(allowance.remaining)
            headers["RateLimit-Reset"] = whole_seconds(allowance.reset)
            headers["RateLimit-Policy"] = f"{allowance.limit};w=1"
        await send(message)

    return send_with_allowance
