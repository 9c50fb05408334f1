"""Every route is public or declares its scope, and a key allows exactly the routes of its scopes and galleries."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from app.access.api_keys import KeyStore
from app.api.dependencies import RequiredScope
from app.api.middleware.auth import is_public
from app.bootstrap.storage import GALLERY_FILE
from app.domain.identity import Scope
from app.main import create_app
from app.settings import Settings
from app.storage.migrate import open_migrated
from tests.unit.api.guarded import KeyMaker

SUBJECT = "/galleries/{gallery}/subjects/{subject}"
CONTRACT = {
    "POST /verify": Scope.VERIFY,
    "POST /detect": Scope.VERIFY,
    "POST /embed": Scope.EMBED,
    f"POST {SUBJECT}/verify": Scope.VERIFY,
    "POST /identify": Scope.IDENTIFY,
    "GET /galleries": Scope.ENROLL,
    "GET /galleries/{gallery}": Scope.ENROLL,
    "PUT /galleries/{gallery}": Scope.ENROLL,
    "GET /galleries/{gallery}/subjects": Scope.ENROLL,
    f"GET {SUBJECT}": Scope.ENROLL,
    f"PUT {SUBJECT}": Scope.ENROLL,
    f"DELETE {SUBJECT}": Scope.ERASE,
    f"GET {SUBJECT}/faces": Scope.ENROLL,
    f"POST {SUBJECT}/faces": Scope.ENROLL,
    f"DELETE {SUBJECT}/faces/{{face}}": Scope.ERASE,
    "DELETE /galleries/{gallery}": Scope.ADMIN,
    f"GET {SUBJECT}/export": Scope.EXPORT,
    "GET /metrics": Scope.METRICS,
    "GET /models": None,
    "GET /models/{model}/calibration": None,
}
PUBLIC = {"GET /healthz", "GET /readyz", "GET /docs", "GET /docs/start.js", "GET /docs/{name}", "GET /openapi.json"}
GALLERY_ROUTES = [route for route in CONTRACT if "{gallery}" in route]
ByScope = dict[Scope, dict[str, str]]
Header = tuple[str, str]


def leaves(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield every route, also of nested routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from leaves(inner.routes) if inner is not None else [route]


def named(route: Any) -> list[str]:
    return [f"{method} {route.path}" for method in sorted(route.methods - {"HEAD"})]


def scopes_of(route: BaseRoute) -> list[Scope | None]:
    """Return the scopes that a route declares."""
    dependencies = route.dependant.dependencies if isinstance(route, APIRoute) else []
    return [each.call.scope for each in dependencies if isinstance(each.call, RequiredScope)]


def declared(app: FastAPI) -> dict[str, list[Scope | None]]:
    return {name: scopes_of(route) for route in leaves(app.routes) for name in named(route)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def guarded(folder: Path, models_dir: Path) -> Iterator[TestClient]:
    """The whole service with required keys."""
    app = create_app(Settings(data_dir=folder, models_dir=models_dir, auth="on", rate_limit=0, _env_file=None))
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def key(folder: Path) -> Iterator[KeyMaker]:
    with closing(open_migrated(folder / GALLERY_FILE)) as database:
        yield KeyMaker(KeyStore(database))


@pytest.fixture(scope="module")
def by_scope(key: KeyMaker) -> ByScope:
    return {scope: key(scope) for scope in Scope}


def ask(client: TestClient, route: str, headers: dict[str, str], gallery: str = "none") -> int:
    """Return the status of an empty request to `route`."""
    method, path = route.split()
    filled = path.format(gallery=gallery, subject="nobody", face="f", name="start.js", model="none")
    return client.request(method, filled, headers=headers).status_code


def test_every_route_is_public_or_declares_the_scope_of_the_contract(app: FastAPI) -> None:
    found = declared(app)

    assert {name for name, scopes in found.items() if not scopes} == PUBLIC
    assert {name: scopes for name, scopes in found.items() if scopes} == {name: [s] for name, s in CONTRACT.items()}
    assert {name for name in found if is_public(name.split()[1])} == PUBLIC


def test_route_without_a_scope_is_found_in_nested_routers() -> None:
    outer, inner, app = APIRouter(prefix="/a"), APIRouter(prefix="/b"), FastAPI(openapi_url=None, docs_url=None)
    inner.get("/forgotten")(lambda: None)
    outer.include_router(inner)
    app.include_router(outer)

    assert [scopes for name, scopes in declared(app).items() if "forgotten" in name] == [[]]


@pytest.mark.parametrize("scope", Scope)
def test_key_allows_exactly_the_routes_of_its_scope(guarded: TestClient, by_scope: ByScope, scope: Scope) -> None:
    statuses = {route: ask(guarded, route, by_scope[scope]) for route in CONTRACT}
    allowed = {route for route, needed in CONTRACT.items() if scope is Scope.ADMIN or needed in (scope, None)}

    assert {route for route, status in statuses.items() if status != 403} == allowed
    assert not {status for status in statuses.values() if status == 401 or status >= 500}


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_only_public_paths_answer_without_a_key_also_among_unknown_paths(guarded: TestClient, prefix: str) -> None:
    unknown = [
        "GET /",
        "GET /nothing",
        "PATCH /galleries",
        "OPTIONS /verify",
        "GET /healthz/",
        "GET /docs2",
        "HEAD /models",
    ]
    guarded_routes = [route.replace(" ", f" {prefix}") for route in [*CONTRACT, *unknown]]
    public = [route.replace(" ", f" {prefix}") for route in sorted(PUBLIC)]

    assert {ask(guarded, route, {}) for route in guarded_routes} == {401}
    assert {ask(guarded, route, {}) for route in public} == {200}


def test_refusal_without_a_valid_key_names_the_authentication_scheme(guarded: TestClient) -> None:
    answers = [guarded.get("/galleries", headers=headers) for headers in ({}, {"X-API-Key": "lk_0_0"})]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(401, "unauthorized")] * 2
    assert {each.headers["www-authenticate"] for each in answers} == {'Bearer realm="likeness"'}
    assert all(each.headers["x-request-id"] == each.json()["request_id"] for each in answers)


@pytest.mark.parametrize("header", ["Bearer", "bearer", "X-API-Key"])
def test_key_is_accepted_in_either_header(guarded: TestClient, key: KeyMaker, header: str) -> None:
    text = key.text(key(Scope.VERIFY))
    headers = {"X-API-Key": text} if header == "X-API-Key" else {"Authorization": f"{header} {text}"}

    assert ask(guarded, "GET /models", headers) == 200


@pytest.mark.parametrize(
    "headers_with",
    [
        lambda text: [("Authorization", text)],
        lambda text: [("Authorization", f"Basic {text}")],
        lambda text: [("Authorization", f"Bearer {text}x")],
        lambda text: [("X-API-Key", text[:0])],
        lambda text: [("X-API-Key", text), ("Authorization", "Bearer lk_other_key")],
        lambda text: [("X-API-Key", text), ("X-API-Key", "lk_other_key")],
        lambda text: [("Authorization", f"Bearer {text}"), ("Authorization", "Bearer lk_other_key")],
        lambda text: [("Cookie", f"key={text}")],
    ],
)
def test_wrong_ambiguous_or_misplaced_key_is_refused(
    guarded: TestClient, key: KeyMaker, headers_with: Callable[[str], list[Header]]
) -> None:
    text = key.text(key(Scope.ADMIN))

    assert guarded.get("/models", headers=headers_with(text)).status_code == 401
    assert guarded.get("/models", params={"key": text}).status_code == 401


def test_expired_or_revoked_key_is_refused_at_once(guarded: TestClient, key: KeyMaker) -> None:
    old, revoked = key(Scope.ADMIN, lifetime=timedelta(seconds=-1)), key(Scope.ADMIN)
    before = ask(guarded, "GET /models", revoked)
    key.keys.revoke(key.id(revoked))

    assert before == 200
    assert [ask(guarded, "GET /models", headers) for headers in (old, revoked)] == [401, 401]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_key_for_some_galleries_is_refused_for_others_whether_they_exist_or_not(
    guarded: TestClient, key: KeyMaker, by_scope: ByScope, prefix: str
) -> None:
    for name in ("mine", "theirs"):
        guarded.put(f"/galleries/{name}", headers=by_scope[Scope.ADMIN])
    limited = key(Scope.ADMIN, galleries=["mine", "a/b"])
    routes = [
        route.replace(" ", f" {prefix}")
        for route in GALLERY_ROUTES
        if not route.startswith("DELETE /galleries/{gallery} ")
    ]
    others = ["theirs", "not there", "Mine", "mine%20", "a", "a%252Fb", "%FF", "mine%00", "%2E%2E"]

    assert {ask(guarded, route, limited, gallery) for route in routes for gallery in others} == {403}
    assert 403 not in {ask(guarded, route, limited, gallery) for route in routes for gallery in ("a%2Fb", "%6Dine")}


def test_key_for_some_galleries_lists_only_them_and_has_no_metrics(
    guarded: TestClient, key: KeyMaker, by_scope: ByScope
) -> None:
    for name in ("mine", "theirs"):
        guarded.put(f"/galleries/{name}", headers=by_scope[Scope.ADMIN])
    limited = key(Scope.ADMIN, galleries=["mine", "not there"])
    listed = guarded.get("/galleries", headers=limited).json()["galleries"]

    assert [each["id"] for each in listed] == ["mine"]
    assert ask(guarded, "GET /metrics", limited) == 403
    assert ask(guarded, "GET /metrics", key(Scope.METRICS)) == 200


@pytest.mark.parametrize(("gallery", "status"), [("theirs", 403), ("not there", 403), (None, 403), ("mine", 422)])
def test_key_for_some_galleries_identifies_only_in_them(
    guarded: TestClient, key: KeyMaker, gallery: str | None, status: int
) -> None:
    document = {"image": "bm8gcGhvdG8=", **({"gallery": gallery} if gallery else {})}
    limited = key(Scope.IDENTIFY, galleries=["mine"])
    guarded.put("/galleries/mine", headers=key(Scope.ENROLL))

    assert guarded.post("/identify", json=document, headers=limited).status_code == status


@pytest.mark.parametrize("body", [{"json": {"image": "eA=="}}, {"files": {"image": b"x"}}])
def test_gallery_in_the_query_is_checked_too(guarded: TestClient, key: KeyMaker, body: dict[str, Any]) -> None:
    limited = key(Scope.IDENTIFY, galleries=["default"])

    assert guarded.post("/identify", params={"gallery": "theirs"}, headers=limited, **body).status_code == 403
    assert guarded.post("/identify", params={"gallery": "default"}, headers=limited, **body).status_code == 422


@pytest.mark.parametrize("path", ["/galleries/%FF", "/galleries/%FF/subjects", "/galleries/a%00/subjects/x"])
def test_gallery_id_that_is_not_text_is_an_invalid_request(guarded: TestClient, by_scope: ByScope, path: str) -> None:
    response = guarded.get(path, headers=by_scope[Scope.ADMIN])

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_audit_log_has_the_key_and_the_request_id(guarded: TestClient, key: KeyMaker) -> None:
    headers = key(Scope.ADMIN) | {"X-Request-ID": "r-77"}
    guarded.put("/galleries/audited/subjects/ada", headers=headers)
    events = guarded.get("/galleries/audited/subjects/ada/export", headers=headers).json()["events"]

    assert [(each["action"], each["by"], each["request_id"]) for each in events] == [
        ("subject.put", f"key:{key.id(headers)}", "r-77"),
        ("subject.export", f"key:{key.id(headers)}", "r-77"),
    ]


def test_openapi_describes_which_routes_require_a_key(guarded: TestClient, client: TestClient) -> None:
    secured, unsecured = guarded.get("/openapi.json").json(), client.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation["security"]
        for path, methods in secured["paths"].items()
        for method, operation in methods.items()
    }

    assert {name for name, security in operations.items() if security} == set(CONTRACT)
    assert {scheme["type"] for scheme in secured["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert "securitySchemes" not in unsecured["components"]
