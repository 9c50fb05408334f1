"""Every request is counted, logged in one line without names, and in flight until it is answered."""

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI, Request
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.api import error_handlers
from app.api.middleware.metrics import RequestMetrics
from app.api.middleware.request_id import RequestId
from app.domain.errors import FaceNotFound, Unauthorized
from app.domain.identity import Caller
from app.observability.metrics import Metrics
from app.observability.route_names import RouteNames
from app.server.shutdown import Lifecycle
from app.services.timing import StageTimer

PERSON = "ada-lovelace"


@dataclass
class Watched:
    """An application with metrics; `in_flight` has the lifecycle and the gauge during each request."""

    metrics: Metrics = field(default_factory=Metrics)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    in_flight: list[tuple[bool, float | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = FastAPI()
        for path in ("/people/{person}", "/metrics", "/healthz"):
            app.get(path)(self._found)
        app.get("/timed/{person}")(self._timed)
        app.get("/nobody")(self._nobody)
        app.get("/broken")(self._broken)
        route_names = RouteNames(["/people/{person}", "/healthz"])
        app.add_middleware(Refusing)
        app.add_middleware(RequestMetrics, metrics=self.metrics, lifecycle=self.lifecycle, route_names=route_names)
        app.add_middleware(RequestId)
        error_handlers.install(app)
        self.client = TestClient(app, raise_server_exceptions=False)

    def get(self, path: str) -> int:
        return self.client.get(path).status_code

    def sample(self, name: str, **labels: str) -> float | None:
        families = text_string_to_metric_families(self.metrics.render().decode())
        found = [each for family in families for each in family.samples if each.name == name and each.labels == labels]
        return found[0].value if found else None

    async def _found(self, request: Request) -> None:
        self.in_flight.append((not self.lifecycle.idle, self.sample("likeness_requests_in_flight")))
        request.state.caller = Caller("key:1", frozenset())

    async def _timed(self, request: Request) -> None:
        request.state.timer = StageTimer()
        request.state.timer.add("detect", 0.25)

    async def _nobody(self) -> None:
        raise FaceNotFound("no face")

    async def _broken(self) -> None:
        raise RuntimeError("it broke")


class Refusing:
    """Refuses /people/refused before the router, as Authentication does."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        refused = scope.get("path", "").startswith("/people/refused")
        app = error_handlers.error_response(Request(scope), Unauthorized("no key")) if refused else self._app
        await app(scope, receive, send)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


def logged(log: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    """Return the fields of each logged request."""
    records = [vars(record) for record in log.records if record.getMessage() == "answered"]
    return [(each["route"], each["method"], each["status"], each["caller"]) for each in records]


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        (f"/people/{PERSON}?photo={PERSON}", "/people/{person}", 200),
        (f"/people/refused-{PERSON}", "/people/{person}", 401),
        (f"/no/such/{PERSON}", "unmatched", 404),
        ("/nobody", "/nobody", 422),
        ("/broken", "/broken", 500),
        ("/healthz", "/healthz", 200),
        ("/metrics", "/metrics", 200),
    ],
)
def test_request_is_counted_once_by_its_route(watched: Watched, path: str, route: str, status: int) -> None:
    assert watched.get(path) == status

    assert watched.sample("likeness_requests_total", route=route, method="GET", status=str(status)) == 1
    assert watched.sample("likeness_request_seconds_count", route=route) == 1
    assert PERSON not in watched.metrics.render().decode()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nobody", "face_not_found"),
        ("/broken", "internal_error"),
        ("/x", "not_found"),
        ("/people/refused", "unauthorized"),
    ],
)
def test_problem_is_counted_by_its_code(watched: Watched, path: str, code: str) -> None:
    watched.get("/people/ada")
    watched.get(path)

    assert watched.sample("likeness_problems_total", code=code) == 1


def test_stages_of_a_request_are_observed(watched: Watched) -> None:
    watched.get("/timed/ada")

    assert watched.sample("likeness_stage_seconds_sum", stage="detect") == 0.25
    assert watched.sample("likeness_stage_seconds_count", stage="decode") is None


def test_request_is_in_flight_while_it_is_answered_unless_it_is_a_probe(watched: Watched) -> None:
    for path in ("/people/ada", "/healthz", "/metrics"):
        watched.get(path)
    watched.get("/broken")

    assert watched.in_flight == [(True, 1.0), (False, 0.0), (False, 0.0)]
    assert watched.lifecycle.idle
    assert watched.sample("likeness_requests_in_flight") == 0


def test_request_is_logged_once_with_route_and_caller_and_without_ids(
    watched: Watched, log: pytest.LogCaptureFixture
) -> None:
    for path in (f"/people/{PERSON}?q={PERSON}", f"/people/refused-{PERSON}", f"/{PERSON}", "/broken"):
        watched.get(path)

    assert logged(log) == [
        ("/people/{person}", "GET", 200, "key:1"),
        ("/people/{person}", "GET", 401, None),
        ("unmatched", "GET", 404, None),
        ("/broken", "GET", 500, None),
    ]
    assert PERSON not in str([vars(line) for line in log.records if line.name.startswith("app")])


def test_probes_and_scrapes_are_not_logged(watched: Watched, log: pytest.LogCaptureFixture) -> None:
    for path in ("/healthz", "/metrics", "/healthz"):
        watched.get(path)

    assert logged(log) == []
