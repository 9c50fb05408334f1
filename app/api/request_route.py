"""A route whose dependencies need nothing but the request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.responses import Response

_Call = Callable[[Request], Coroutine[Any, Any, Any]]


class RequestRoute(APIRoute):
    """
    Calls its dependencies one after the other with the request, and writes the answer as JSON.

    FastAPI's handler walks the graph of dependencies and validates our own answer in each request, which took a third
    of the CPU time of HTTP. Validation of fields and the OpenAPI description are not affected. A route that
    declares anything else than such dependencies is refused when it is defined.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        calls = [(each.name, _call_of(each)) for each in self.dependant.dependencies]
        if _needs_more_than_dependencies(self.dependant):
            raise TypeError(f"{self.path}: expected dependencies only")
        endpoint, to_json = self.endpoint, TypeAdapter(self.response_model).dump_json

        async def handle(request: Request) -> Response:
            values = {}
            for name, call in calls:
                value = await call(request)
                if name is not None:
                    values[name] = value
            return Response(to_json(await endpoint(**values), by_alias=True), media_type="application/json")

        return handle


def _call_of(dependant: Dependant) -> _Call:
    """Raises TypeError unless the dependency is a coroutine function, or has one as `__call__`, of the request."""
    call: Any = dependant.call
    is_coroutine = iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)
    if not is_coroutine or dependant.dependencies or _has_parameters(dependant):
        raise TypeError(f"expected a coroutine function that takes the request, got {call}")
    return lambda request: call(request)


def _needs_more_than_dependencies(dependant: Dependant) -> bool:
    return _has_parameters(dependant) or dependant.request_param_name is not None


def _has_parameters(dependant: Dependant) -> bool:
    kinds = (dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params)
    return any(kinds) or bool(dependant.body_params)
