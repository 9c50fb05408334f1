"""HEIC, as iPhones save photos; without pillow-heif it is refused by name."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from app.domain.arrays import Pixels
from app.domain.errors import ImageTooLarge, InvalidImage
from app.images.decode import ImageLimits, decode
from app.images.formats import ACCEPTED
from tests.support.encoding import encoded, exif

LIMITS = ImageLimits()
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "pillow_heif":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "pillow_heif" else found(name, package)
from app.images.decode import ImageLimits, decode
from app.domain.errors import UnsupportedImage

try:
    decode(open(sys.argv[1], "rb").read(), ImageLimits())
except UnsupportedImage as error:
    print(error)
"""


@pytest.fixture(scope="module")
def small(collins: Pixels) -> Image.Image:
    return Image.fromarray(cv2.resize(collins, (160, 120), interpolation=cv2.INTER_AREA))


def test_heif_is_accepted() -> None:
    assert "HEIF" in ACCEPTED


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_photo_has_nearly_the_pixels_that_went_in(small: Image.Image, mode: str) -> None:
    photo = decode(encoded(small.convert(mode), "HEIF", quality=90), LIMITS)
    expected = np.asarray(small.convert(mode).convert("RGB"))
    assert photo.shape == expected.shape
    assert np.abs(photo.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_rotated_once(small: Image.Image, orientation: int) -> None:
    photo = decode(encoded(small, "HEIF", quality=90, exif=exif(orientation).tobytes()), LIMITS)
    turned = decode(encoded(small, "PNG", exif=exif(orientation)), LIMITS)
    assert photo.shape == turned.shape
    assert np.abs(photo.astype(int) - turned).mean() < 4


def test_the_first_of_several_pictures_is_the_photo() -> None:
    red, blue = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    photo = decode(encoded(red, "HEIF", save_all=True, append_images=[blue]), LIMITS)
    assert np.abs(photo.astype(int) - (255, 0, 0)).max() < 8


def test_a_photo_of_too_many_pixels_is_refused(small: Image.Image) -> None:
    with pytest.raises(ImageTooLarge, match="expected at most 999 pixels, got 160 x 120"):
        decode(encoded(small, "HEIF"), ImageLimits(max_pixels=999))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_truncated_photo_is_broken(small: Image.Image, share: float) -> None:
    data = encoded(small, "HEIF")
    with pytest.raises(InvalidImage, match="broken HEIF"):
        decode(data[: int(len(data) * share)], LIMITS)


@pytest.mark.slow
def test_without_the_library_it_is_refused_by_name(small: Image.Image, tmp_path: Path) -> None:
    photo = tmp_path / "photo.heic"
    photo.write_bytes(encoded(small, "HEIF"))
    done = subprocess.run([sys.executable, "-c", WITHOUT, photo], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("got HEIF, which needs `pip install 'likeness[heif]'`\n")
