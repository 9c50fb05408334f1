"""The faces found in photos, and their cache."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.domain.arrays import Pixels
from app.faces.alignment import LandmarkAligner
from app.faces.detector.mtcnn import CascadeOptions
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.prepare import open_crop_pipeline


@pytest.fixture
def photos(tmp_path: Path, hopper: Pixels) -> list[Path]:
    """A photo with a face, one without, and a file that is not an image."""
    Image.fromarray(hopper).resize((256, 300)).save(tmp_path / "hopper.png")
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(tmp_path / "dark.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return [tmp_path / name for name in ("hopper.png", "dark.png", "broken.png")]


def test_a_face_is_the_one_that_the_service_uses(photos: list[Path], models_dir: Path) -> None:
    detected = FaceFinder(models_dir).find_all(photos, "detect")
    crops = detected.crops(LandmarkAligner(), "align")
    (face,) = open_crop_pipeline(models_dir).read(photos[0].read_bytes(), "largest").faces
    wide = face.crop.pixels
    assert detected.found.tolist() == [True, False, False]
    assert np.abs(crops.pixels[0].astype(int) - wide[16:-16, 16:-16]).max() <= 1
    assert crops.inside == pytest.approx([1])


def test_faces_are_cached(
    photos: list[Path], models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = FaceFinder(models_dir, cache=cache).find_all(photos, "detect")
    renamed = [photo.rename(photo.with_stem(f"new-{photo.stem}")) for photo in photos]
    again = FaceFinder(models_dir, cache=cache)
    monkeypatch.setattr(again, "find", lambda _: pytest.fail("detected again"))
    second = again.find_all(renamed, "detect")
    assert second.found.tolist() == first.found.tolist()
    one, other = first.faces[0], second.faces[0]
    assert one
    assert other
    np.testing.assert_array_equal(other.landmarks.points, one.landmarks.points)
    assert (other.box, other.confidence) == (one.box, one.confidence)


def test_other_detection_options_use_another_cache(photos: list[Path], models_dir: Path, tmp_path: Path) -> None:
    FaceFinder(models_dir, cache=tmp_path / "cache").find_all(photos, "detect")
    FaceFinder(models_dir, cache=tmp_path / "cache", options=CascadeOptions(min_face=60)).find_all(photos, "detect")
    assert len(list((tmp_path / "cache").iterdir())) == 2
