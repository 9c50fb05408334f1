"""Responses depend on the calibration of the model, or say that there is none."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.inference.manifest import MANIFEST, read_embedder
from app.main import create_app
from app.matching.calibration import CALIBRATION, Calibration
from app.settings import Settings
from tests.support.calibrations import COHORTS, calibration, rates

MODEL = "mobilefacenet-128"
Serve = Callable[[Calibration | None], TestClient]


@pytest.fixture
def digest(models_dir: Path) -> str:
    return read_embedder(models_dir / MODEL).file.digest


@pytest.fixture
def serve(tmp_path: Path, models_dir: Path) -> Iterator[Serve]:
    """Starts a service on the real networks with another calibration, or none."""
    with ExitStack() as stack:

        def start(measured: Calibration | None) -> TestClient:
            folder = tmp_path / "models" / MODEL
            folder.mkdir(parents=True)
            (tmp_path / "models" / "mtcnn").symlink_to(models_dir / "mtcnn")
            (folder / "embedder.onnx").symlink_to(models_dir / MODEL / "embedder.onnx")
            manifest = json.loads((models_dir / MODEL / MANIFEST).read_text())
            (folder / MANIFEST).write_text(json.dumps({**manifest, "threshold_offset": None}))
            if measured:
                (folder / CALIBRATION).write_text(measured.model_dump_json())
            settings = Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "models", _env_file=None)
            return stack.enter_context(TestClient(create_app(settings)))

        yield start


def verify(client: TestClient, portrait: bytes, **fields: Any) -> dict[str, Any]:
    response = client.post("/verify", files={"image1": portrait, "image2": portrait}, data=fields)
    return dict(response.json())


def test_uncalibrated_model_decides_by_the_usual_threshold_without_rates(serve: Serve, portrait: bytes) -> None:
    client = serve(None)
    answer = verify(client, portrait)

    assert answer["threshold"] == {
        "distance": 1.1,
        "base": 1.1,
        "fmr": None,
        "fnmr": None,
        "source": "uncalibrated",
        "calibrated_on": None,
    }
    assert (answer["match"], answer["probability"]) == (True, None)
    assert client.get("/models").json()["models"][0]["calibrated"] is False
    assert client.get(f"/models/{MODEL}/calibration").status_code == 404
    assert verify(client, portrait, fmr="0.01")["code"] == "unsupported_operating_point"
    assert verify(client, portrait, threshold="0.5")["threshold"]["source"] == "request"


def test_threshold_names_its_data_set_and_the_calibration_has_the_cohorts(
    serve: Serve, digest: str, portrait: bytes
) -> None:
    measured = calibration(model=digest, **COHORTS)
    client = serve(measured)
    threshold = verify(client, portrait, fmr="0.001")["threshold"]

    assert (threshold["distance"], threshold["fnmr"], threshold["source"]) == (1.0, 0.25, "fmr")
    assert threshold["fmr"] == pytest.approx(0.001)
    assert threshold["calibrated_on"] == "ten people"
    assert "worst_cohort" not in threshold
    assert client.get(f"/models/{MODEL}/calibration").json() == json.loads(measured.model_dump_json())


def test_rates_are_shown_without_the_last_digits_of_their_computation(
    serve: Serve, digest: str, portrait: bytes
) -> None:
    noisy = 9.999999999999999e-05
    measured = calibration(model=digest, rates=(rates(0.5, noisy, 0.25), rates(4.0, 1.0, 0.0)), finest_fmr=noisy)
    client = serve(measured)

    assert "9999" not in client.get(f"/models/{MODEL}/calibration").text
    assert client.get(f"/models/{MODEL}/calibration").json()["rates"][0]["fmr"] == 1e-4
    assert verify(client, portrait, threshold="0.5")["threshold"]["fmr"] == 1e-4


def test_default_rate_is_the_lowest_that_the_calibration_supports(serve: Serve, digest: str, portrait: bytes) -> None:
    threshold = verify(serve(calibration(model=digest, finest_fmr=0.02)), portrait)["threshold"]

    assert (threshold["distance"], threshold["source"]) == (1.5, "default")
    assert threshold["fmr"] == pytest.approx(0.02)
