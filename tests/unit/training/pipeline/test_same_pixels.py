"""Training and serving see the same pixels, whatever the size of a network's crops."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.domain.arrays import Pixels
from app.faces.alignment import LandmarkAligner, arcface_template
from app.faces.detector.mtcnn import SERVING_OPTIONS, load_mtcnn
from app.pipeline import FacePipeline
from training.config.augmentation import AugmentationConfig
from training.data.augmentation import augment
from training.data.crops import CropGeometry
from training.data.dataset import CropFormat, read_crop, read_faces
from training.data.sources import UnusableData
from training.pipeline import prepare

SIZES = (96, 112, 160, 220, 224)
GREY_LEVEL = 1  # warping the margin too rounds the coordinates of some pixels otherwise


@pytest.fixture
def photos(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    for name, pixels in (("hopper", hopper), ("collins", collins)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / name / "one.png")
        Image.fromarray(pixels).resize((400, 400)).save(tmp_path / "photos" / name / "two.png")
    return tmp_path / "photos"


def served_crop(photo: Path, size: int, models_dir: Path) -> Pixels:
    """Return what the service cuts out for a network exported here."""
    aligner = LandmarkAligner(arcface_template(size), size)
    pipeline = FacePipeline(load_mtcnn(models_dir / "mtcnn", SERVING_OPTIONS), aligner)
    return pipeline.read(photo.read_bytes(), "largest").faces[0].crop.pixels


@pytest.mark.parametrize("size", SIZES)
def test_an_unchanged_training_view_is_the_served_crop(
    photos: Path, tmp_path: Path, models_dir: Path, size: int
) -> None:
    prepare.run(photos, tmp_path / "crops", models_dir, size=size)
    crops = CropFormat(CropGeometry(size))
    faces = read_faces([tmp_path / "crops"], crops=crops)
    assert len(faces) == 4
    for path in faces.paths:
        view = augment(read_crop(path, crops), AugmentationConfig(share=0), np.random.default_rng(0), crops.geometry)
        served = served_crop(photos / Path(str(path)).relative_to(tmp_path / "crops"), size, models_dir)
        assert view.shape == served.shape == (size, size, 3)
        difference = np.abs(view.astype(int) - served)
        assert difference.max() <= GREY_LEVEL
        assert (difference > 0).mean() < 1e-3


def test_crops_of_a_network_of_112_px_are_those_of_before() -> None:
    geometry = CropGeometry(112)
    template = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
    assert (geometry.margin, geometry.side, geometry.scale) == (16, 144, 1.0)
    assert np.array_equal(np.array(geometry.template, np.float32), np.array(template, np.float32))
    crop = np.random.default_rng(1).integers(0, 256, (144, 144, 3), np.uint8)
    assert np.array_equal(geometry.center(crop), crop[16:128, 16:128])
    assert geometry.converted(crop, CropGeometry(112)) is crop


def test_crops_of_another_network_are_refused_unless_they_may_be_rescaled(
    photos: Path, tmp_path: Path, models_dir: Path
) -> None:
    prepare.run(photos, tmp_path / "crops", models_dir, size=160)
    other = CropGeometry(112)
    with pytest.raises(
        UnusableData,
        match=r"expected 144 x 144 pixels, got 206 x 206: this network takes crops of 112 px and their margin; prepare "
        r"them with --network, or set data\.rescaled to true",
    ):
        read_faces([tmp_path / "crops"], crops=CropFormat(other))

    crops = CropFormat(other, rescaled=True)
    faces = read_faces([tmp_path / "crops"], crops=crops)
    for path in faces.paths:
        view = other.center(read_crop(path, crops))
        served = served_crop(photos / Path(str(path)).relative_to(tmp_path / "crops"), 112, models_dir)
        assert view.shape == (112, 112, 3)
        assert 0 < np.abs(view.astype(int) - served).mean() < 6  # sharper or softer, but in the same place


def test_a_teacher_of_another_size_sees_the_face_in_its_own_place(
    photos: Path, tmp_path: Path, models_dir: Path
) -> None:
    prepare.run(photos, tmp_path / "crops", models_dir, size=224)
    crops = CropFormat(CropGeometry(224))
    for path in read_faces([tmp_path / "crops"], crops=crops).paths:
        seen = crops.geometry.aligned(read_crop(path, crops), 112)
        served = served_crop(photos / Path(str(path)).relative_to(tmp_path / "crops"), 112, models_dir)
        assert seen.shape == (112, 112, 3)
        moved = np.abs(np.roll(seen, 2, axis=1).astype(int) - served).mean()
        assert np.abs(seen.astype(int) - served).mean() < 0.5 * moved


@pytest.mark.parametrize("size", SIZES)
def test_the_geometry_of_a_file_is_known_by_its_width(size: int) -> None:
    crops = CropFormat(CropGeometry(112), rescaled=True)
    assert crops.accepts(CropGeometry(size).side)
    assert not CropFormat(CropGeometry(size)).accepts(CropGeometry(size + 1).side)
