"""Authenticate a request and apply the rate limits before its body is read."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.authenticator import is_address, network_of
from app.access.rate_limiter import Allowance, RateLimiter, whole_seconds
from app.api.error_handlers import error_response
from app.api.state import state_of
from app.domain.errors import AccessError, CrossSiteRequest, Overloaded, StorageUnavailable, Unauthorized
from app.domain.identity import Actor, Caller, anonymous
from app.server.shutdown import Lifecycle

PROBES = ("/healthz", "/readyz")
METRICS = "/metrics"
PAGE = "/"
PUBLIC = (*PROBES, "/openapi.json", "/docs", PAGE)


class Authentication:
    """
    Requires a caller for every path except the public ones, so that a route without any declaration is not open.

    The scope that a route needs is declared with the route (see dependencies.py).
    """

    def __init__(self, app: ASGIApp, rate_limiter: RateLimiter, lifecycle: Lifecycle) -> None:
        self._app, self._rate_limiter, self._lifecycle = app, rate_limiter, lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_public(route_path(scope)):
            return await self._app(scope, receive, send)
        try:
            caller, error = self._caller(scope)
            if allowance := self._rate_limiter.acquire(caller):
                send = _with_rate_limit_headers(send, allowance)
                allowance.raise_if_exceeded()
            if error:
                raise error
            scope["state"]["caller"] = caller
            with self._rate_limiter.slot(caller):
                await self._app(scope, receive, send)
        except (AccessError, Overloaded, StorageUnavailable) as refusal:
            scope["state"]["refused_address"] = _address(scope)
            await error_response(Request(scope), refusal)(scope, receive, send)

    def _caller(self, scope: Scope) -> tuple[Caller, Unauthorized | None]:
        """Return who makes the request; if their key is invalid, their address, whose limit bounds further attempts."""
        authenticator = state_of(scope["app"]).require_services().authenticator
        if self._lifecycle.draining and route_path(scope) != METRICS:
            raise Overloaded("shutting down")
        headers, address = Headers(scope=scope), _address(scope)
        if authenticator.loopback_only() and _is_cross_site(headers):
            raise CrossSiteRequest(
                "without keys, only local pages and host names are accepted (see docs/operations/keys.md)"
            )
        try:
            return authenticator.authenticate(given_keys(headers), address), None
        except Unauthorized as error:
            return anonymous(f"address:{network_of(address)}"), error


def _address(scope: Scope) -> str:
    client: Sequence[object] = scope.get("client") or ("unknown",)
    return str(client[0])


def route_path(scope: Scope) -> str:
    """Return the path as routes see it, without /v1."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(("/docs/", "/page/"))


def caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def actor_of(request: Request) -> Actor:
    return Actor(caller_of(request).name, str(request.state.request_id))


def _is_cross_site(headers: Headers) -> bool:
    """
    Return whether a browser may have sent the request for a foreign web page: with a form that is posted to 127.0.0.1,
    or with a foreign host name that resolves to this machine (DNS rebinding).
    """
    origin, host = headers.get("origin"), headers.get("host", "")
    if headers.get("sec-fetch-site") == "cross-site" or (origin is not None and not _is_local(origin)):
        return True
    return bool(host) and not _is_local(f"//{host}")  # HTTP/1.0 has no Host, and no browser uses it


def _is_local(url: str) -> bool:
    """Return whether its host cannot be a foreign domain: an address, a name without a dot, *.localhost, *.internal."""
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:
        return False
    name = name.rstrip(".")
    return bool(name) and (is_address(name) or "." not in name or name.endswith((".localhost", ".internal")))


def given_keys(headers: Headers) -> set[str]:
    """Return the distinct keys in all `Authorization: Bearer` and `X-API-Key` headers."""
    bearers = [each.partition(" ") for each in headers.getlist("authorization")]
    keys = [key for scheme, _, key in bearers if scheme.lower() == "bearer"] + headers.getlist("x-api-key")
    return {key.strip() for key in keys} - {""}


def _with_rate_limit_headers(send: Send, allowance: Allowance) -> Send:
    """Add the RateLimit fields of draft-ietf-httpapi-ratelimit-headers-06, the version that clients read today."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["RateLimit-Limit"] = str(allowance.limit)
            headers["RateLimit-Remaining"] = str(allowance.remaining)
            headers["RateLimit-Reset"] = whole_seconds(allowance.reset)
            headers["RateLimit-Policy"] = f"{allowance.limit};w=1"
        await send(message)

    return send_with_headers
