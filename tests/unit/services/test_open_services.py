"""Services open complete and warm, or the start fails with a reason."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.bootstrap.models import open_models, warm_up
from app.bootstrap.services import open_services
from app.bootstrap.storage import GALLERY_FILE, open_repository
from app.domain.embeddings import Embedding
from app.domain.errors import Overloaded, ServiceError, StartError
from app.domain.ports import Embedder
from app.matching.calibration import CALIBRATION
from app.services.container import Models
from app.services.extraction import Upload
from app.services.timing import StageTimer
from app.settings import Settings
from app.storage.cipher import Cipher
from app.storage.migrate import open_migrated
from app.storage.sqlite import Database
from tests.support.calibrations import calibration
from tests.support.fakes import FAKE_MODEL, FakeDetector, FakeEmbedder, photo

MODEL = "mobilefacenet-128"


@dataclass(frozen=True)
class LongEmbedder:
    """Returns vectors of length 2."""

    model: str = FAKE_MODEL

    def embed(self, crops: Any) -> list[Embedding]:
        return [Embedding(np.array([2, 0], np.float32), self.model) for _ in crops]


@pytest.fixture
def settings(tmp_path: Path, models_dir: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", models_dir=models_dir, provider="cpu", _env_file=None)


@pytest.fixture
def copied(tmp_path: Path, models_dir: Path, settings: Settings) -> Settings:
    """The settings with a copy of the models, which a test may damage."""
    return settings.model_copy(update={"models_dir": shutil.copytree(models_dir, tmp_path / "models")})


@pytest.fixture
def models(settings: Settings) -> Models:
    return open_models(settings)


def with_embedder(models: Models, embedder: Embedder) -> Models:
    return replace(models, detector=FakeDetector(), embedder=embedder)


@pytest.mark.anyio
async def test_open_services_answer_and_closed_ones_refuse(settings: Settings) -> None:
    upload = Upload("image", photo(None))
    async with open_services(settings) as services:
        photo_faces = await services.extraction.read(upload, "all", StageTimer())
        galleries = await services.galleries.all()

    assert (photo_faces.faces_found, [gallery.id for gallery in galleries]) == (0, ["default"])
    with pytest.raises(Overloaded):
        await services.extraction.read(upload, "all", StageTimer())


def test_models_match_their_manifests_and_name_their_provider(models: Models) -> None:
    assert models.embedder.model == models.embedder_manifest.file.digest
    assert models.embedder_manifest.id == MODEL
    assert models.provider == "cpu"
    assert models.calibration is None or models.calibration.model == models.embedder.model


@pytest.mark.parametrize("name", [f"{MODEL}/embedder.onnx", "mtcnn/pnet.onnx", "mtcnn/rnet.onnx", "mtcnn/onet.onnx"])
def test_network_that_differs_from_its_manifest_or_is_missing_stops_the_start(copied: Settings, name: str) -> None:
    path = copied.models_dir / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StartError, match=f"{path} differs from its manifest"):
        open_models(copied)

    path.unlink()
    with pytest.raises(StartError, match=f"cannot read the model file {path}"):
        open_models(copied)


@pytest.mark.parametrize("model", [MODEL, "mtcnn"])
def test_missing_manifest_stops_the_start(copied: Settings, model: str) -> None:
    path = copied.models_dir / model / "manifest.json"
    path.unlink()

    with pytest.raises(StartError, match=f"cannot read {path}"):
        open_models(copied)


def test_the_liveness_network_is_opened_only_if_it_is_asked_for(copied: Settings) -> None:
    judging = copied.model_copy(update={"liveness": "on", "liveness_threshold": 0.25})
    opened = open_models(judging)
    warm_up(opened)
    assert opened.liveness is not None
    assert opened.liveness.threshold == 0.25

    path = copied.models_dir / "pad" / "liveness.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    assert open_models(copied).liveness is None
    with pytest.raises(StartError, match=f"{path} differs from its manifest"):
        open_models(judging)


def test_calibration_of_another_model_stops_the_start(copied: Settings) -> None:
    (copied.models_dir / MODEL / CALIBRATION).write_text(calibration().model_dump_json())

    with pytest.raises(StartError, match="calibrate again"):
        open_models(copied)


def test_unavailable_provider_stops_the_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(StartError, match="provider 'cuda' was asked for"):
        open_models(settings.model_copy(update={"provider": "cuda"}))


def test_warm_up_runs_every_network_once(models: Models) -> None:
    embedder = FakeEmbedder()
    warm_up(with_embedder(models, embedder))

    assert embedder.batches == [1]
    warm_up(models)


def test_vectors_without_unit_length_stop_the_start(models: Models) -> None:
    with pytest.raises(StartError, match=rf"'{MODEL}': expected vectors of length 1, got 2\.0000"):
        warm_up(with_embedder(models, LongEmbedder()))


def test_file_that_is_not_a_database_stops_the_start_with_its_path(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / GALLERY_FILE
    path.write_bytes(b"this is no database at all" * 100)

    with pytest.raises(StartError, match=rf"{path}: .*not a database"), open_repository(settings):
        pass
    assert path.read_bytes() == b"this is no database at all" * 100


def test_data_directory_that_cannot_be_created_stops_the_start(settings: Settings) -> None:
    settings.data_dir.touch()

    with pytest.raises(StartError, match="cannot open the gallery"), open_repository(settings):
        pass


@pytest.mark.anyio
async def test_failed_start_closes_every_database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Database] = []

    def open_and_remember(path: Path, cipher: Cipher | None, *, keys: Path | None) -> Database:
        opened.append(open_migrated(path, cipher, keys=keys))
        return opened[-1]

    monkeypatch.setattr("app.gallery.search.GallerySearch.load_indexes", lambda _: 1 / 0)
    monkeypatch.setattr("app.bootstrap.storage.open_migrated", open_and_remember)

    with pytest.raises(ZeroDivisionError):
        async with open_services(settings):
            pass
    assert len(opened) == 2
    for database in opened:
        with pytest.raises(ServiceError, match="closed"):
            database.data_version()
