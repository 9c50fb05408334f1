"""Settings become services, whole and warm, or the start is refused with the reason."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.bootstrap.models import open_models, warm_up
from app.bootstrap.services import open_services
from app.bootstrap.storage import GALLERY_FILE, open_repository
from app.domain.errors import Overloaded, ServiceError, StartError
from app.domain.models import Embedding
from app.domain.ports import Embedder
from app.matching.calibration import CALIBRATION
from app.services.container import Models
from app.services.extraction import Upload
from app.services.timing import StageTimer
from app.settings import Settings
from app.storage.migrate import open_migrated
from app.storage.sqlite import Database
from tests.support.calibrations import calibration
from tests.support.fakes import FAKE_MODEL, FakeDetector, FakeEmbedder, photo
from tests.support.templates import numbered

MODEL = "mobilefacenet-128"


@dataclass(frozen=True)
class LongEmbedder:
    """Its vectors are of length 2."""

    model: str = FAKE_MODEL

    def embed(self, crops: Any) -> list[Embedding]:
        return [Embedding(np.array([2, 0], np.float32), self.model) for _ in crops]


@pytest.fixture
def settings(tmp_path: Path, models_dir: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", models_dir=models_dir, provider="cpu", _env_file=None)


@pytest.fixture
def copied(tmp_path: Path, models_dir: Path, settings: Settings) -> Settings:
    """As `settings`, with model folders of our own, to be spoiled."""
    for path in models_dir.glob("*/*.*"):
        copy = tmp_path / "models" / path.relative_to(models_dir)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return settings.model_copy(update={"models_dir": tmp_path / "models"})


@pytest.fixture
def models(settings: Settings) -> Models:
    return open_models(settings)


def with_embedder(models: Models, embedder: Embedder) -> Models:
    return replace(models, detector=FakeDetector(), embedder=embedder)


@pytest.mark.anyio
async def test_open_services_answer_and_closed_ones_refuse(settings: Settings) -> None:
    upload = Upload("image", photo(None))
    async with open_services(settings) as services:
        found = await services.extraction.read(upload, "all", StageTimer())
        galleries = await services.galleries.all()

    assert (found.faces_found, [gallery.id for gallery in galleries]) == (0, ["default"])
    with pytest.raises(Overloaded):
        await services.extraction.read(upload, "all", StageTimer())


@pytest.mark.anyio
async def test_services_open_over_a_gallery_that_was_filled_before(settings: Settings) -> None:
    with open_repository(settings) as records:
        records.enroll("guests", "ada", numbered("ada", 1))
    async with open_services(settings) as services:
        gallery = await services.galleries.get("guests")

    assert gallery.faces == 1


def test_the_models_are_those_of_the_manifests_and_say_what_runs_them(models: Models) -> None:
    assert models.embedder.model == models.embedder_manifest.file.digest
    assert models.embedder_manifest.id == MODEL
    assert models.provider == "cpu"
    assert models.calibration is None or models.calibration.model == models.embedder.model


@pytest.mark.parametrize("name", [f"{MODEL}/embedder.onnx", "mtcnn/pnet.onnx", "mtcnn/onet.onnx"])
def test_a_network_that_is_not_its_manifests_stops_the_start(copied: Settings, name: str) -> None:
    path = copied.models_dir / name
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(StartError, match=rf"{path} is not the file of its manifest"):
        open_models(copied)


@pytest.mark.parametrize("name", [f"{MODEL}/manifest.json", "mtcnn/manifest.json", "mtcnn/rnet.onnx"])
def test_a_missing_file_stops_the_start_by_its_path(copied: Settings, name: str) -> None:
    (copied.models_dir / name).unlink()

    with pytest.raises(StartError, match=str(copied.models_dir / name)):
        open_models(copied)


def test_the_calibration_of_another_model_stops_the_start(copied: Settings) -> None:
    (copied.models_dir / MODEL / CALIBRATION).write_text(calibration().model_dump_json())

    with pytest.raises(StartError, match="calibrate again"):
        open_models(copied)


def test_a_provider_that_was_named_and_cannot_be_used_stops_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(StartError, match="provider 'cuda' was asked for"):
        open_models(settings.model_copy(update={"provider": "cuda"}))


def test_warming_up_runs_every_network_once(models: Models) -> None:
    embedder = FakeEmbedder()
    warm_up(with_embedder(models, embedder))

    assert embedder.batches == [1]
    warm_up(models)


def test_a_network_whose_vectors_are_not_of_unit_length_stops_the_start(models: Models) -> None:
    with pytest.raises(StartError, match=rf"'{MODEL}': expected vectors of length 1, got 2\.0000"):
        warm_up(with_embedder(models, LongEmbedder()))


def test_the_records_have_a_default_gallery(settings: Settings) -> None:
    with open_repository(settings) as records:
        assert [gallery.id for gallery in records.galleries()] == ["default"]


def test_a_file_that_is_no_database_stops_the_start_by_its_path(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / GALLERY_FILE
    path.write_bytes(b"this is no database at all" * 100)

    fault = pytest.raises(StartError, match=rf"cannot open the gallery {path}: .*not a database")
    with fault, open_repository(settings):
        pass


def test_a_data_directory_that_cannot_be_made_stops_the_start(settings: Settings) -> None:
    settings.data_dir.touch()

    with pytest.raises(StartError, match="cannot open the gallery"), open_repository(settings):
        pass


@pytest.mark.anyio
async def test_a_start_that_fails_late_leaves_nothing_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Database] = []
    monkeypatch.setattr("app.gallery.search.GallerySearch.load_indexes", lambda _: 1 / 0)
    monkeypatch.setattr(
        "app.bootstrap.storage.open_migrated", lambda path: opened.append(open_migrated(path)) or opened[-1]
    )

    with pytest.raises(ZeroDivisionError):
        async with open_services(settings):
            pass
    assert len(opened) == 2
    for database in opened:
        with pytest.raises(ServiceError, match="closed"):
            database.data_version()
