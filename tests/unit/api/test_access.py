"""Every route is public or declares one scope (tests/contract/test_keys.py has the table of the scopes)."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from app.api.dependencies import RequiredScope
from app.api.middleware.auth import is_public
from app.main import described_paths

PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /docs",
    "GET /docs/start.js",
    "GET /docs/{name}",
    "GET /openapi.json",
    "GET /",
    "GET /page/{name:path}",
}


def leaves(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield every route, also of nested routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from leaves(inner.routes) if inner is not None else [route]


OF_TWO_SCOPES = {"POST /galleries/{gallery}/import", "POST /galleries/{gallery}/subjects/{subject}/merge"}


def scopes_of(route: BaseRoute) -> int:
    dependencies = route.dependant.dependencies if isinstance(route, APIRoute) else []
    return sum(isinstance(each.call, RequiredScope) for each in dependencies)


def declared(app: FastAPI) -> dict[str, int]:
    """Return the number of scopes of every route."""
    found: list[Any] = list(leaves(app.routes))
    return {f"{method} {each.path}": scopes_of(each) for each in found for method in each.methods - {"HEAD"}}


def test_every_route_is_public_or_declares_its_scopes(app: FastAPI) -> None:
    found = declared(app)

    assert {name for name, scopes in found.items() if scopes == 0} == PUBLIC
    assert {name for name, scopes in found.items() if scopes > 1} == OF_TWO_SCOPES
    assert {name for name in found if is_public(name.split()[1])} == PUBLIC


def test_route_without_a_scope_is_found_in_nested_routers() -> None:
    outer, inner, app = APIRouter(prefix="/a"), APIRouter(prefix="/b"), FastAPI(openapi_url=None, docs_url=None)
    inner.get("/forgotten")(lambda: None)
    outer.include_router(inner)
    app.include_router(outer)

    assert [scopes for name, scopes in declared(app).items() if "forgotten" in name] == [0]


def test_metrics_name_every_described_path(app: FastAPI) -> None:
    assert described_paths() == list(app.openapi()["paths"])


def test_openapi_says_that_a_key_may_be_left_out_where_none_is_required(client: TestClient) -> None:
    description = client.get("/openapi.json").json()

    assert {} in description["paths"]["/verify"]["post"]["security"]
    assert description["paths"]["/healthz"]["get"]["security"] == []
    assert description["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}


def test_a_request_of_another_site_is_named_as_such(client: TestClient) -> None:
    answer = client.get("/galleries", headers={"Origin": "https://evil.example"})

    assert (answer.status_code, answer.json()["title"]) == (403, "Sent by a page of another site")
