"""`python -m training offset`, from photos to a model folder that the service reads."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from app.domain.errors import StartError
from app.inference.manifest import read_embedder
from training.cli.main import cli
from training.errors import TrainingError
from training.export.model_package import UnwritableModel, write_offset
from training.offset.crowd import one_per_person
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel


@pytest.fixture
def model(tmp_path: Path, models_dir: Path) -> Path:
    """A copy of the default model without offsets and with the calibration that it has."""
    folder = tmp_path / "models" / "mobilefacenet-128"
    shutil.copytree(models_dir / "mobilefacenet-128", folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"threshold_offset": None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def fit(model: Path, models_dir: Path, crowd: Path, *options: object) -> str:
    arguments = ["--model", model, "--models-dir", models_dir, "--crowd", crowd, "--nearest", 1, *options]
    done = CliRunner().invoke(cli, ["offset", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_the_offsets_become_part_of_the_model(model: Path, models_dir: Path, lfw_photos: Path, tmp_path: Path) -> None:
    before = read_embedder(model)
    output = fit(model, models_dir, lfw_photos, "--json", tmp_path / "report.json", "--cache", tmp_path / "cache")
    after, report = read_embedder(model), json.loads((tmp_path / "report.json").read_text())
    assert after.file == before.file
    assert after.offset_digest == report["threshold_offset"]
    assert after.provenance["threshold_offset"].startswith("python -m training offset: 6 faces")
    assert (report["crowd"]["faces"], report["held_out"]["faces"]) == (6, 2)
    assert "6 faces in 6 photos" in output
    assert "calibrate" in output
    served = ServedModel.open_uncalibrated(model)
    faces, _ = embed_faces(served, FaceFinder(models_dir).find_all(sorted(lfw_photos.rglob("*.jpg")), "detect"))
    assert np.ptp(faces.offsets) > 0
    with pytest.raises(StartError, match="calibrate again"):
        ServedModel.open(model)


@pytest.mark.slow
def test_equal_commands_write_equal_files_and_may_be_repeated(
    model: Path, models_dir: Path, lfw_photos: Path, tmp_path: Path
) -> None:
    written = []
    for _ in range(2):
        fit(model, models_dir, lfw_photos, "--seed", 4, "--cache", tmp_path / "cache")
        written.append((model / "threshold_offset.onnx").read_bytes())
    assert written[0] == written[1]


def test_own_people_count_with_one_photo_each(model: Path, models_dir: Path, lfw_photos: Path, tmp_path: Path) -> None:
    assert [path.name for path in one_per_person(lfw_photos)] == ["Collins_0001.jpg", "Hopper_0001.jpg"]
    shutil.copytree(lfw_photos, tmp_path / "crowd")
    report = tmp_path / "report.json"
    fit(model, models_dir, tmp_path / "crowd", "--extra", lfw_photos, "--cache", tmp_path / "cache", "--json", report)
    assert json.loads(report.read_text())["crowd"]["own_people"] == 2


def test_other_people_are_fitted_but_do_not_join_the_crowd(
    model: Path, models_dir: Path, lfw_photos: Path, tmp_path: Path
) -> None:
    report, written = tmp_path / "report.json", []
    for options in ([], ["--fit-at", lfw_photos]):
        output = fit(model, models_dir, lfw_photos, *options, "--cache", tmp_path / "cache", "--json", report)
        written.append((model / "threshold_offset.onnx").read_bytes())
    crowd = json.loads(report.read_text())["crowd"]
    assert (crowd["faces"], crowd["photos"], crowd["fit_at"]["faces"]) == (6, 6, 6)
    assert "fitted at 6 others" in output
    assert written[0] != written[1]


def test_a_model_that_cannot_be_written_to_keeps_its_manifest(model: Path) -> None:
    before = (model / "manifest.json").read_bytes()
    (model / "threshold_offset.onnx.partial").mkdir()
    with pytest.raises(UnwritableModel, match=f"cannot write to {model}: "):
        write_offset(model, b"a graph", "a test")
    assert (model / "manifest.json").read_bytes() == before


def test_a_crowd_too_small_is_refused_and_the_model_stays(model: Path, models_dir: Path, lfw_photos: Path) -> None:
    before = sorted((path.name, path.read_bytes()) for path in model.iterdir())
    with pytest.raises(TrainingError, match="crowd of at least 8 faces"):
        fit(model, models_dir, lfw_photos, "--nearest", 2)
    with pytest.raises(TrainingError, match=r"expected photos of people in .*, got none"):
        fit(model, models_dir, model)
    assert sorted((path.name, path.read_bytes()) for path in model.iterdir()) == before
