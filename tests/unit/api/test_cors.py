"""Pages of other origins may send requests only if their origin is named in the settings."""

from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

ALLOWED, OTHER = "https://app.example", "https://evil.example"


def client(data_dir: Path, origins: str | None) -> TestClient:
    """Return a client of a service that was not started: what is refused before that shows its headers too."""
    settings = Settings(data_dir=data_dir, cors_origins=origins, _env_file=None)
    return TestClient(create_app(settings), base_url="http://127.0.0.1")


def preflight(client: TestClient, origin: str) -> httpx2.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "x-api-key, content-type",
    }
    return client.options("/galleries/guests", headers=headers)


def test_without_the_setting_no_origin_is_allowed(tmp_path: Path) -> None:
    closed = client(tmp_path, None)

    assert "access-control-allow-origin" not in preflight(closed, ALLOWED).headers
    assert "access-control-allow-origin" not in closed.get("/healthz", headers={"Origin": ALLOWED}).headers


@pytest.mark.parametrize("origin", [ALLOWED, "http://localhost:3000"])
def test_a_named_origin_is_allowed_without_cookies(tmp_path: Path, origin: str) -> None:
    opened = client(tmp_path, f"{ALLOWED}, http://localhost:3000")
    answer, simple = preflight(opened, origin), opened.get("/healthz", headers={"Origin": origin})

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == simple.headers["access-control-allow-origin"] == origin
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert "X-API-Key" in answer.headers["access-control-allow-headers"]
    assert "Retry-After" in simple.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_a_problem_can_be_read_by_a_named_origin(tmp_path: Path) -> None:
    refused = client(tmp_path, ALLOWED).get("/galleries", headers={"Origin": ALLOWED})

    assert refused.status_code == 503
    assert refused.headers["access-control-allow-origin"] == ALLOWED


def test_another_origin_is_not_allowed(tmp_path: Path) -> None:
    opened = client(tmp_path, ALLOWED)

    assert preflight(opened, OTHER).status_code == 400
    assert "access-control-allow-origin" not in opened.get("/healthz", headers={"Origin": OTHER}).headers


@pytest.mark.parametrize("origins", ["*", "app.example", "https://app.example/", "https://*.example", "null", "a,"])
def test_what_is_no_list_of_origins_stops_the_start(origins: str) -> None:
    with pytest.raises(ValidationError, match=r"expected origins such as https://app.example, got"):
        Settings(cors_origins=origins, _env_file=None)
