"""Photos are aligned by the served detector."""

import json
from pathlib import Path

import pytest
from PIL import Image

from app.domain.models import Pixels
from training.data.dataset import read_faces
from training.errors import TrainingError
from training.pipeline import prepare


@pytest.fixture
def photos(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    root = tmp_path / "photos"
    for name, pixels in (("hopper", hopper), ("collins", collins)):
        (root / name / "deeper").mkdir(parents=True)
        Image.fromarray(pixels).save(root / name / "one.png")
        Image.fromarray(pixels).resize((256, 256)).save(root / name / "deeper" / "two.jpg")
    (root / "hopper" / "broken.jpg").write_bytes(b"no image")
    return root


def test_training_reads_crops_and_skipped_photos_have_a_reason(photos: Path, tmp_path: Path, models_dir: Path) -> None:
    counts = prepare.run(photos, tmp_path / "crops", models_dir)
    faces = read_faces([tmp_path / "crops"])
    assert (len(faces.names), len(faces), faces.skipped) == (2, 4, ())
    assert counts == {"photos": 5, "already_there": 0, "skipped": 1}
    assert list(json.loads((tmp_path / "crops" / "prepare.json").read_text())["reasons"]) == ["hopper/broken.jpg"]
    first = (tmp_path / "crops" / "hopper" / "one.jpg").stat().st_mtime_ns
    assert prepare.run(photos, tmp_path / "crops", models_dir)["already_there"] == 4
    assert (tmp_path / "crops" / "hopper" / "one.jpg").stat().st_mtime_ns == first


def test_an_empty_folder_is_refused(tmp_path: Path, models_dir: Path) -> None:
    with pytest.raises(TrainingError, match="one folder per person"):
        prepare.run(tmp_path, tmp_path / "crops", models_dir)
