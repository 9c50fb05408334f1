"""The application starts and stops cleanly; pytest turns every warning into an error."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.state import state_of
from app.domain.errors import StartError
from app.main import create_app
from app.settings import Settings


def settings(tmp_path: Path, models_dir: Path, **more: Any) -> Settings:
    return Settings(data_dir=tmp_path / "data", models_dir=models_dir, _env_file=None, **more)


def test_service_can_be_started_and_stopped_repeatedly(tmp_path: Path, models_dir: Path) -> None:
    app = create_app(settings(tmp_path, models_dir))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/readyz").json() == {"status": "ready", "erasures_pending": 0}
            assert [gallery["id"] for gallery in client.get("/galleries").json()["galleries"]] == ["default"]


def test_service_is_alive_but_not_ready_before_its_start_and_after_its_end(tmp_path: Path, models_dir: Path) -> None:
    app = create_app(settings(tmp_path, models_dir))
    outside = TestClient(app)
    before = outside.get("/readyz")
    with TestClient(app):
        pass
    after = outside.get("/readyz")

    assert (before.status_code, after.status_code) == (503, 503)
    assert before.json()["code"] == "overloaded"
    assert before.headers["retry-after"] == "1"
    assert outside.get("/healthz").json() == {"status": "alive"}


def test_stopping_service_is_not_ready(tmp_path: Path, models_dir: Path) -> None:
    app = create_app(settings(tmp_path, models_dir))
    with TestClient(app) as client:
        state_of(app).lifecycle.stop()
        health, readiness = client.get("/healthz"), client.get("/readyz")

    assert (health.json(), readiness.status_code) == ({"status": "stopping"}, 503)


def test_failed_start_raises_its_reason(tmp_path: Path, models_dir: Path) -> None:
    app = create_app(settings(tmp_path, models_dir, model="no-such-model"))

    with pytest.raises(StartError, match=r"no model in .*no-such-model"), TestClient(app):
        pass


def test_create_app_opens_no_files(tmp_path: Path) -> None:
    create_app(settings(tmp_path, tmp_path / "nowhere"))

    assert list(tmp_path.iterdir()) == []
