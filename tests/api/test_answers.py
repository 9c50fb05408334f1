"""What an answer says of a model that was measured otherwise, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.inference.manifest import read_embedder
from app.main import create_app
from app.matching.calibration import CALIBRATION, Calibration
from app.settings import Settings
from tests.support.calibrations import COHORTS, calibration

MODEL = "mobilefacenet-128"
Serve = Callable[[Calibration | None], TestClient]


@pytest.fixture
def digest(models_dir: Path) -> str:
    return read_embedder(models_dir / MODEL).file.digest


@pytest.fixture
def serve(tmp_path: Path, models_dir: Path) -> Iterator[Serve]:
    """The real networks with another calibration, or none."""
    with ExitStack() as stack:

        def start(measured: Calibration | None) -> TestClient:
            folder = tmp_path / "models" / MODEL
            folder.mkdir(parents=True)
            (tmp_path / "models" / "mtcnn").symlink_to(models_dir / "mtcnn")
            for name in ("manifest.json", "embedder.onnx"):
                (folder / name).symlink_to(models_dir / MODEL / name)
            if measured:
                (folder / CALIBRATION).write_text(measured.model_dump_json())
            settings = Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "models", _env_file=None)
            return stack.enter_context(TestClient(create_app(settings)))

        yield start


def verified(client: TestClient, portrait: bytes, **fields: Any) -> dict[str, Any]:
    response = client.post("/verify", files={"image1": portrait, "image2": portrait}, data=fields)
    return dict(response.json())


def test_a_model_that_was_not_measured_says_so(serve: Serve, portrait: bytes) -> None:
    client = serve(None)
    answer = verified(client, portrait)

    assert answer["threshold"] == {
        "distance": 1.1,
        "fmr": None,
        "fnmr": None,
        "source": "uncalibrated",
        "calibrated_on": None,
        "worst_cohort": None,
    }
    assert (answer["match"], answer["probability"]) == (True, None)
    assert client.get("/models").json()["models"][0]["calibration"] is None


def test_a_model_that_was_not_measured_cannot_promise_a_rate(serve: Serve, portrait: bytes) -> None:
    client = serve(None)

    assert verified(client, portrait, fmr="0.01")["code"] == "unsupported_operating_point"
    assert verified(client, portrait, threshold="0.5")["threshold"]["source"] == "request"


def test_the_data_of_the_promise_and_the_worst_cohort_stand_beside_it(
    serve: Serve, digest: str, portrait: bytes
) -> None:
    threshold = verified(serve(calibration(model=digest, **COHORTS)), portrait, fmr="0.001")["threshold"]

    assert (threshold["distance"], threshold["fnmr"], threshold["source"]) == (1.0, 0.25, "fmr")
    assert threshold["fmr"] == pytest.approx(0.001)
    assert threshold["calibrated_on"] == "ten people"
    assert threshold["worst_cohort"] == {
        "name": "sailors",
        "fmr": 0.02,
        "between_fmr": 0.005,
        "data": {"name": "crews", "images": 10, "median_inside": 0.9},
    }


def test_the_default_promises_the_finest_rate_where_the_data_support_no_finer(
    serve: Serve, digest: str, portrait: bytes
) -> None:
    threshold = verified(serve(calibration(model=digest, finest_fmr=0.02)), portrait)["threshold"]

    assert (threshold["distance"], threshold["source"]) == (1.5, "default")
    assert threshold["fmr"] == pytest.approx(0.02)
