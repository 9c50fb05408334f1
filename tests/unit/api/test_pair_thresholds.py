"""
A gallery of two cohorts of strangers, equally near to their probes, one in a crowded part of the space.

The real networks embed two photos. Round the vector of each lie synthetic strangers at the same distances, but a crowd
lies round that of `portrait` only.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.bootstrap.models import open_models
from app.bootstrap.storage import GALLERY_FILE
from app.domain.arrays import Floats
from app.domain.errors import StartError
from app.inference.manifest import MANIFEST, digest_of, read_embedder
from app.main import create_app
from app.matching.calibration import CALIBRATION
from app.settings import Settings
from tests.support.api import Api
from tests.support.calibrations import calibration
from tests.support.networks import crowding
from tests.support.repository import FileRepository
from tests.support.templates import template

MODEL, STRANGERS = "mobilefacenet-128", 20
COSINE = 0.6  # of a stranger to the probe: the distance 0.8
BASE = 1.0  # threshold of `calibration()` at FMR 1e-3


@dataclass(frozen=True)
class TwoCohorts:
    """`crowded` and `alone` are photos whose strangers are enrolled; `api` is a service with threshold offsets."""

    api: Api
    crowded: bytes
    alone: bytes

    def offset(self, photo: bytes) -> float:
        ((face,),) = [result["faces"] for result in self.api.embed(photo).json()["results"]]
        return float(face["threshold_offset"])


def strangers(center: Floats, count: int, seed: int) -> Floats:
    """Return unit vectors (count, D) at the cosine COSINE to `center`, in random directions from it."""
    random = np.random.default_rng(seed).normal(size=(count, len(center)))
    across = random - np.outer(random @ center, center)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.asarray(COSINE * center + np.sqrt(1 - COSINE**2) * across, np.float32)


def settings_of(folder: Path) -> Settings:
    return Settings(
        data_dir=folder / "data", models_dir=folder / "models", default_fmr=1e-3, default_fpir=0.05, _env_file=None
    )


def with_model(folder: Path, models_dir: Path, offsets: bytes | None, measured_with: str | None) -> Settings:
    """Write a model folder with these threshold offsets, and a calibration that was measured with those of a digest."""
    made = folder / "models" / MODEL
    made.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((models_dir / MODEL / MANIFEST).read_text())
    manifest["threshold_offset"] = None
    (made / "embedder.onnx").write_bytes((models_dir / MODEL / "embedder.onnx").read_bytes())
    if offsets:
        (made / "threshold_offset.onnx").write_bytes(offsets)
        manifest["threshold_offset"] = {"path": "threshold_offset.onnx", "digest": digest_of(offsets)}
    (made / MANIFEST).write_text(json.dumps(manifest))
    measured = calibration(model=manifest["file"]["digest"], threshold_offset=measured_with)
    (made / CALIBRATION).write_text(measured.model_dump_json())
    if not (folder / "models" / "mtcnn").exists():
        (folder / "models" / "mtcnn").symlink_to(models_dir / "mtcnn")
    return settings_of(folder)


def vectors_of(folder: Path, models_dir: Path, *photos: bytes) -> list[Floats]:
    with TestClient(create_app(with_model(folder, models_dir, None, None))) as client:
        results = Api(client).embed(*photos).json()["results"]
    assert [face["threshold_offset"] for result in results for face in result["faces"]] == [0] * len(photos)
    return [np.array(result["faces"][0]["embedding"], np.float32) for result in results]


@pytest.fixture(scope="module")
def cohorts(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path, portraits: tuple[bytes, bytes]
) -> Iterator[TwoCohorts]:
    folder = tmp_path_factory.mktemp("cohorts")
    crowded, alone = vectors_of(folder, models_dir, *portraits)
    digest = read_embedder(models_dir / MODEL).file.digest
    with closing(FileRepository(folder / "data" / GALLERY_FILE)) as repository:  # filled before there were offsets
        for name, center in (("crowded", crowded), ("alone", alone)):
            faces = [
                template(f"{name}-{number}", f"{name}-{number}", vector, digest)
                for number, vector in enumerate(strangers(center, STRANGERS, seed=1))
            ]
            for face in faces:
                repository.enroll(name, face.subject_id, [face])
    offsets = crowding(strangers(crowded, 200, seed=2), neighbors=50, average=0.3, strength=0.5)
    settings = with_model(folder, models_dir, offsets, digest_of(offsets))
    with ExitStack() as stack:
        client = stack.enter_context(TestClient(create_app(settings)))
        yield TwoCohorts(Api(client), *portraits)


@pytest.fixture(scope="module")
def portraits(models_dir: Path) -> tuple[bytes, bytes]:
    images = models_dir.parent / "docs" / "images"
    return (images / "hopper.jpg").read_bytes(), (images / "collins.jpg").read_bytes()


def test_the_threshold_tightens_where_strangers_are_crowded(cohorts: TwoCohorts) -> None:
    crowded, alone = cohorts.offset(cohorts.crowded), cohorts.offset(cohorts.alone)
    found = cohorts.api.candidates(cohorts.alone, "alone", top_k="50")

    assert crowded > 0.1 > 0 > alone
    assert cohorts.api.candidates(cohorts.crowded, "crowded", top_k="50") == []
    assert len(found) == STRANGERS
    assert {candidate["distance"] for candidate in found} <= {0.7, 0.8}
    assert all(candidate["threshold"]["base"] == BASE < candidate["threshold"]["distance"] for candidate in found)


def test_a_threshold_of_the_request_is_a_plain_distance(cohorts: TwoCohorts) -> None:
    found = cohorts.api.candidates(cohorts.crowded, "crowded", top_k="50", threshold="1.0")
    answer = cohorts.api.identify(cohorts.crowded, gallery="crowded", threshold="1.0").json()

    assert len(found) == STRANGERS
    assert {(each["threshold"]["distance"], each["threshold"]["base"]) for each in found} == {(1.0, 1.0)}
    assert (answer["threshold"]["distance"], answer["threshold"]["base"]) == (1.0, 1.0)
    assert all(each["threshold"]["fmr"] > answer["threshold"]["fmr"] for each in found)


def test_verification_compares_with_the_threshold_for_the_pair(cohorts: TwoCohorts) -> None:
    answer = cohorts.api.verify(cohorts.crowded, cohorts.alone).json()
    offsets = cohorts.offset(cohorts.crowded) + cohorts.offset(cohorts.alone)

    assert answer["threshold"]["base"] == BASE
    assert answer["threshold"]["distance"] == pytest.approx(BASE - offsets, abs=1e-6)
    assert answer["match"] is (answer["distance"] <= answer["threshold"]["distance"])


def test_a_subject_is_verified_with_the_threshold_for_the_pair(cohorts: TwoCohorts) -> None:
    crowded = cohorts.api.verify_subject("crowded", "crowded-1", cohorts.crowded).json()
    alone = cohorts.api.verify_subject("alone", "alone-1", cohorts.alone).json()
    exported = cohorts.api.http.get("/galleries/crowded/subjects/crowded-1/export").json()["faces"][0]

    assert (crowded["match"], alone["match"]) == (False, True)
    assert crowded["threshold"]["distance"] < BASE < alone["threshold"]["distance"]
    exact = BASE - cohorts.offset(cohorts.crowded) - exported["threshold_offset"]
    assert exact - 0.01 < crowded["threshold"]["distance"] <= exact


def test_the_digest_of_the_offsets_is_told(cohorts: TwoCohorts) -> None:
    embedder, detector = cohorts.api.http.get("/models").json()["models"]
    measured: dict[str, Any] = cohorts.api.http.get(f"/models/{MODEL}/calibration").json()

    assert embedder["threshold_offset"] == measured["threshold_offset"]
    assert embedder["threshold_offset"].startswith("sha256:")
    assert detector["threshold_offset"] is None


@pytest.mark.parametrize("measured_with", [None, "sha256:" + "0" * 64], ids=["none", "others"])
def test_a_calibration_of_other_offsets_stops_the_start(
    tmp_path: Path, models_dir: Path, measured_with: str | None
) -> None:
    offsets = crowding(np.eye(1, 128, dtype=np.float32), neighbors=1, average=0.0, strength=0.5)
    settings = with_model(tmp_path, models_dir, offsets, measured_with)

    with pytest.raises(StartError, match=f"the threshold offsets {digest_of(offsets)}: calibrate again"):
        open_models(settings)
