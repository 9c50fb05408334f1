"""Faces of photos, found once."""

import numpy as np
import pytest
from PIL import Image

from app.faces.alignment import LandmarkAligner
from app.faces.detector.mtcnn import CascadeOptions
from training.served import ServedReader
from training.sights import FaceFinder


@pytest.fixture
def photos(tmp_path, hopper):
    """A face, no face, no image."""
    Image.fromarray(hopper).resize((256, 300)).save(tmp_path / "hopper.png")
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(tmp_path / "dark.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return [tmp_path / name for name in ("hopper.png", "dark.png", "broken.png")]


def test_a_sight_is_the_crop_that_the_service_takes(photos, models_dir):
    sights = FaceFinder(models_dir).find_all(photos, "detect")
    crops = sights.crops(LandmarkAligner(), "align")
    wide, inside = ServedReader(models_dir).read(photos[0])
    assert sights.found.tolist() == [True, False, False]
    assert np.abs(crops.pixels[0].astype(int) - wide[16:-16, 16:-16]).max() <= 1
    assert crops.inside == pytest.approx([inside])


def test_faces_found_once_are_remembered_by_the_photos_content(photos, models_dir, tmp_path, monkeypatch):
    memory = tmp_path / "memory"
    first = FaceFinder(models_dir, memory=memory).find_all(photos, "detect")
    renamed = [photo.rename(photo.with_stem(f"new-{photo.stem}")) for photo in photos]
    again = FaceFinder(models_dir, memory=memory)
    monkeypatch.setattr(again, "find", lambda _: pytest.fail("looked again"))
    second = again.find_all(renamed, "detect")
    assert second.found.tolist() == first.found.tolist()
    np.testing.assert_array_equal(second.faces[0].landmarks.points, first.faces[0].landmarks.points)
    assert (second.faces[0].box, second.faces[0].confidence) == (first.faces[0].box, first.faces[0].confidence)


def test_another_way_of_looking_remembers_apart(photos, models_dir, tmp_path):
    FaceFinder(models_dir, memory=tmp_path / "memory").find_all(photos, "detect")
    FaceFinder(models_dir, memory=tmp_path / "memory", options=CascadeOptions(min_face=60)).find_all(photos, "detect")
    assert len(list((tmp_path / "memory").iterdir())) == 2
