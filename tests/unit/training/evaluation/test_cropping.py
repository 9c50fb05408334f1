"""Photos cropped as tightly as others."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.domain.arrays import Pixels
from app.faces.alignment import similarity_transform
from app.faces.detector.mtcnn import Mtcnn
from training.evaluation import cropping
from training.evaluation.cropping import TEMPLATE, LandmarkedPhoto, LandmarkFinder, MeasuredCrop, Points, crop_photo
from training.pipeline.detection_cache import FaceFinder


def known(_: Pixels, points: Points) -> Points:
    return points


def align(photo: LandmarkedPhoto, finder: LandmarkFinder = known, border: str = "black") -> MeasuredCrop:
    crop = cropping.align(photo, finder, border)
    assert crop
    return crop


@pytest.fixture
def scene(collins: Pixels, detector: Mtcnn) -> LandmarkedPhoto:
    return LandmarkedPhoto(collins, detector.detect(collins)[0].landmarks.points)


def test_a_cropped_photo_aligns_as_the_whole_one(scene: LandmarkedPhoto) -> None:
    tight = crop_photo(scene, np.array([56.0, 70.0, 90.0]))
    whole, view = align(scene), align(tight)
    middle = slice(40, 80)
    assert tight.photo.shape == (200, 200, 3)
    difference = np.abs(whole.pixels[middle, middle].astype(int) - view.pixels[middle, middle])
    assert difference.mean() < 3  # it was resampled twice
    assert not view.pixels[:20].any()


def test_the_share_inside_is_that_of_the_crop(scene: LandmarkedPhoto) -> None:
    turned = np.degrees(np.arctan2(*similarity_transform(scene.points, TEMPLATE)[::-1, 0]))
    assert abs(turned) < 10
    view = align(crop_photo(scene, np.array([55.5, 55.5, 56.0])))
    assert view.inside == pytest.approx(0.25, abs=0.01)
    assert view.landmark_error == 0


def test_a_photo_is_cropped_to_the_frame_of_another(collins: Pixels, models_dir: Path, tmp_path: Path) -> None:
    Image.fromarray(collins[:400]).save(tmp_path / "collins.png")
    Image.new("RGB", (80, 80)).save(tmp_path / "nobody.png")
    finder = FaceFinder(models_dir)
    detected = finder.find_all([tmp_path / "nobody.png", tmp_path / "collins.png"], "detect")
    (face,) = (face for face in detected.faces if face)
    (frame,) = cropping.frames_of(detected)
    cropped = crop_photo(LandmarkedPhoto(collins[:400], face.points), frame)
    assert cropped.photo.shape == (200, 200, 3)
    middle = [(200 - 1) / 2, (200 - 1) / 2]
    expected = (face.points - [(512 - 1) / 2, (400 - 1) / 2]) * (200 / 512) + middle  # all of it, with bars
    np.testing.assert_allclose(cropped.points, expected, atol=0.01)
    assert not cropped.photo[:20].any()
    assert cropped.photo[25:175].any()


def test_a_photo_without_a_frame_stays_whole_and_one_without_landmarks_has_no_crop(scene: LandmarkedPhoto) -> None:
    assert crop_photo(scene, None) is scene
    assert cropping.align(scene, lambda _photo, _points: None, "black") is None


def test_the_border_fills_what_lies_beyond_the_photo(scene: LandmarkedPhoto) -> None:
    tight = crop_photo(scene, np.array([56.0, 70.0, 80.0]))
    corners = {border: align(tight, border=border).pixels[0, 0] for border in ("black", "grey", "replicated")}
    assert (corners["black"].tolist(), corners["grey"].tolist()) == ([0, 0, 0], [127, 127, 127])
    assert corners["replicated"].any()


def test_refining_finds_landmarks_where_facenet_pytorch_does_not(scene: LandmarkedPhoto, models_dir: Path) -> None:
    tight = crop_photo(scene, np.array([56.0, 72.0, 85.0]))
    off = {name: align(tight, finder).landmark_error for name, finder in cropping.landmark_finders(models_dir).items()}
    assert off["known"] == 0
    assert off["refined"] < 3
    assert off["photo padded, black"] < 3
    assert off["facenet-pytorch's"] > 5
