"""Bytes of every accepted kind to one thing: upright 8-bit RGB; and what is said of the others."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from app.domain.errors import InvalidImage, UnsupportedImage
from app.domain.models import Pixels
from app.images.decoding import ImageLimits, decode
from tests.support.encoding import encoded, exif, jpeg_header

LIMITS = ImageLimits()
LOSSLESS = {
    "PNG": {},
    "BMP": {},
    "DIB": {},
    "PPM": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "JPEG2000": {"irreversible": False},
}
JPEGS = {
    "4:4:4": {"subsampling": 0, "quality": 90},
    "4:2:2": {"subsampling": 1, "quality": 75},
    "4:2:0": {"subsampling": 2, "quality": 40},
    "progressive": {"progressive": True},
    "with restart markers": {"restart_marker_rows": 1},
}


def cv2_rgb(data: bytes) -> Pixels:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def noisy(height: int, width: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8)


def test_a_photo_is_contiguous_8_bit_rgb_height_first(hopper: Pixels) -> None:
    photo = decode(encoded(Image.fromarray(hopper), "JPEG"), LIMITS)

    assert photo.shape == (600, 512, 3)
    assert photo.dtype == np.uint8
    assert photo.flags.c_contiguous


def test_a_camera_jpeg_is_decoded_bit_for_bit_as_opencv_does() -> None:
    data = (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()

    assert np.array_equal(decode(data, LIMITS), cv2_rgb(data))


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("size", [(64, 48), (37, 23), (1, 1)])
def test_every_kind_of_jpeg_is_decoded_bit_for_bit_as_opencv_does(
    collins: Pixels, size: tuple[int, int], options: dict[str, int]
) -> None:
    data = encoded(Image.fromarray(collins).resize(size), "JPEG", **options)

    assert np.array_equal(decode(data, LIMITS), cv2_rgb(data))


def test_a_grey_jpeg_is_decoded_bit_for_bit_as_opencv_does(collins: Pixels) -> None:
    data = encoded(Image.fromarray(collins).convert("L"), "JPEG")

    assert np.array_equal(decode(data, LIMITS), cv2_rgb(data))


def test_a_jpeg_takes_the_fast_way_and_is_turned_upright_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[:, :, None], 3, axis=2)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda _data, _colours: stored)

    photo = decode(encoded(Image.new("RGB", (2, 2)), "JPEG", exif=exif(6)), LIMITS)

    assert photo[:, :, 0].tolist() == [[3, 1], [4, 2]]


def test_a_jpeg_that_the_fast_way_balks_at_is_a_photo_if_pillow_takes_it() -> None:
    ends_early = jpeg_header(64, 64)
    with pytest.raises(ValueError, match="premature end of data"):
        simplejpeg.decode_jpeg(ends_early, "RGB")

    assert decode(ends_early, LIMITS).shape == (64, 64, 3)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_kind_gives_the_pixels_that_went_in(kind: str) -> None:
    pixels = noisy(13, 17)

    assert np.array_equal(decode(encoded(Image.fromarray(pixels), kind, **LOSSLESS[kind]), LIMITS), pixels)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "GIF"])
def test_a_lossy_kind_gives_nearly_the_pixels_that_went_in(collins: Pixels, kind: str) -> None:
    small = cv2.resize(collins, (128, 128), interpolation=cv2.INTER_AREA)
    got = decode(encoded(Image.fromarray(small), kind), LIMITS)

    assert np.abs(got.astype(int) - small).mean() < 6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_of_several_pictures_the_first_is_the_photo(kind: str) -> None:
    red, blue = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")

    photo = decode(encoded(red, kind, save_all=True, append_images=[blue]), LIMITS)

    assert np.abs(photo.astype(int) - (255, 0, 0)).max() < 4


def test_bytes_behind_the_end_of_the_image_do_not_matter(collins: Pixels) -> None:
    data = encoded(Image.fromarray(collins), "PNG")

    assert np.array_equal(decode(data + b"and more", LIMITS), collins)


@pytest.mark.parametrize("kind", ["ICO", "PCX", "SGI", "EPS", "DDS", "ICNS", "PDF"])
def test_an_image_of_another_kind_is_refused_by_name(kind: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"{kind} is not accepted; send one of JPEG, PNG"):
        decode(encoded(Image.new("RGB", (32, 32)), kind), LIMITS)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n  <?xml version='1.0'?><svg/>", "SVG"),
        (b"%PDF-1.7 and so on", "PDF"),
    ],
)
def test_what_phones_and_designers_send_is_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"^{name}"):
        decode(data, LIMITS)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xd8", b"\x89PNG", b"a text, not an image", b"\0" * 5000])
def test_bytes_that_are_no_image_are_invalid(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="no image of a known kind"):
        decode(data, LIMITS)


def test_of_a_tiff_that_is_not_compressed_no_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TiffImageFile, "load", lambda *_: pytest.fail("decoded"))
    pixels = noisy(30, 50)

    assert np.array_equal(decode(encoded(Image.fromarray(pixels), "TIFF"), LIMITS), pixels)
