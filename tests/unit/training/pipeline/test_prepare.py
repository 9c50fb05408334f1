"""Photos are aligned by the served detector."""

import json
from pathlib import Path

import pytest
from PIL import Image

from app.domain.arrays import Pixels
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
    assert list(reasons(tmp_path / "crops")) == ["hopper/broken.jpg"]
    crop = tmp_path / "crops" / "hopper" / "one.png"
    first = crop.stat().st_mtime_ns
    assert prepare.run(photos, tmp_path / "crops", models_dir)["already_there"] == 4
    assert crop.stat().st_mtime_ns == first


@pytest.mark.slow
def test_every_file_is_used_or_named_with_a_reason(
    photos: Path, tmp_path: Path, models_dir: Path, hopper: Pixels
) -> None:
    Image.fromarray(hopper).save(photos / "hopper" / "one.heic")  # phones save it beside one.jpg
    Image.fromarray(hopper).save(photos / "loose.jpg")
    (photos / "hopper" / "notes.txt").write_text("notes")
    for hidden in (photos / ".hidden" / "x.jpg", photos / "hopper" / ".thumbnails" / "x.jpg"):
        hidden.parent.mkdir()
        Image.fromarray(hopper).save(hidden)
    assert prepare.run(photos, tmp_path / "crops", models_dir)["photos"] == 6
    assert set(reasons(tmp_path / "crops")) == {"hopper/broken.jpg", "hopper/notes.txt", "loose.jpg"}
    assert sorted(path.name for path in (tmp_path / "crops").rglob("*.png") if "hopper" in path.parts) == [
        "one.heic.png",
        "one.png",
        "two.jpg.png",
    ]


def reasons(crops: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((crops / "prepare.json").read_text())["reasons"]
    return found


def test_an_empty_folder_is_refused(tmp_path: Path, models_dir: Path) -> None:
    with pytest.raises(TrainingError, match="one folder per person"):
        prepare.run(tmp_path, tmp_path / "crops", models_dir)


def test_crops_of_two_sizes_or_formats_are_not_mixed(photos: Path, tmp_path: Path, models_dir: Path) -> None:
    prepare.run(photos, tmp_path / "crops", models_dir, suffix="jpg")
    assert (tmp_path / "crops" / "hopper" / "one.png.jpg").exists()
    with pytest.raises(TrainingError, match=r"crops: expected an empty folder or one of .*'png'.*, got .*'jpg'"):
        prepare.run(photos, tmp_path / "crops", models_dir)
    with pytest.raises(TrainingError, match=r"'crop_size': 160.*choose another --output"):
        prepare.run(photos, tmp_path / "crops", models_dir, size=160, suffix="jpg")
