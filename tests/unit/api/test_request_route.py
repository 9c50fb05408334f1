"""A photo route takes only what its handler can give it."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Request

from app.api.request_route import RequestRoute


async def _plain(request: Request) -> str:
    return str(request.url)


async def _nested(plain: Annotated[str, Depends(_plain)]) -> str:
    return plain


async def _query(request: Request, top: int = 1) -> int:  # noqa: ARG001
    return top


def _blocking(request: Request) -> str:
    return str(request.url)


@pytest.mark.parametrize("dependency", [_nested, _query, _blocking])
def test_a_dependency_on_more_than_the_request_is_refused_when_the_route_is_defined(dependency: Any) -> None:
    router = APIRouter(route_class=RequestRoute)

    async def endpoint(value: Any = Depends(dependency)) -> dict[str, str]:  # noqa: B008
        return {"value": value}

    with pytest.raises(TypeError, match="expected a coroutine function that takes the request"):
        router.get("/")(endpoint)


def test_a_parameter_of_the_route_itself_is_refused() -> None:
    router = APIRouter(route_class=RequestRoute)

    async def endpoint(top: int = 1) -> dict[str, int]:
        return {"top": top}

    with pytest.raises(TypeError, match="/: expected dependencies only"):
        router.get("/")(endpoint)
