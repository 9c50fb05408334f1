"""Files of every accepted format become the same thing, upright 8-bit RGB; any other format is refused by its name."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from PIL.ImageFile import ImageFile

from app.domain.arrays import Pixels
from app.domain.errors import InvalidImage, UnsupportedImage
from app.images.decode import ImageLimits, decode
from tests.support.encoding import encoded, exif, jpeg_header, png_chunk

LIMITS = ImageLimits()
LOSSLESS: dict[str, dict[str, object]] = {
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
    "with a comment": {"comment": b"a comment"},
    "with a large profile": {"icc_profile": b"p" * 90_000},
}
NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 256, (23, 37, 3), np.uint8))
PNG = encoded(NOISE, "PNG")


def by_opencv(data: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def by_pillow(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def with_chunk(kind: bytes, content: bytes, place: int) -> bytes:
    return PNG[:place] + png_chunk(kind, content) + PNG[place:]


def with_damaged_frame() -> bytes:
    """A PNG that is no valid animation, because it says so twice, with a second frame that cannot be decoded."""
    width, height = NOISE.size
    rows = zlib.compress(b"".join(b"\x09" + bytes(3 * width) for _ in range(height)))  # there is no filter 9
    frame = struct.pack(">5I2H2B", 0, width, height, 0, 0, 1, 1, 0, 0)
    frames = png_chunk(b"fcTL", frame) + png_chunk(b"fdAT", struct.pack(">I", 1) + rows)
    control = png_chunk(b"acTL", struct.pack(">2I", 2, 0))
    return PNG[:33] + control + control + PNG[33:-12] + frames + PNG[-12:]


def bmp(head: int, step: int) -> bytes:
    """NOISE with a header of `head` bytes, its rows from the bottom (step -1) or the top (step 1)."""
    width, height = NOISE.size
    rows = np.pad(np.asarray(NOISE)[:, :, ::-1].reshape(height, -1), ((0, 0), (0, -3 * width % 4)))
    info = struct.pack("<IiiHHI20x", head, width, -step * height, 1, 24, 0).ljust(head, b"\0")
    start = 14 + head
    return struct.pack("<2sI4xI", b"BM", start + rows.size, start) + info + rows[::step].tobytes()


def test_a_photo_is_contiguous_8_bit_rgb_height_first(hopper: Pixels) -> None:
    photo = decode(encoded(Image.fromarray(hopper), "JPEG"), LIMITS)
    assert photo.shape == (600, 512, 3)
    assert photo.dtype == np.uint8
    assert photo.flags.c_contiguous


def test_a_camera_jpeg_is_decoded_bit_for_bit_as_opencv_does() -> None:
    data = (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()
    assert np.array_equal(decode(data, LIMITS), by_opencv(data))


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(64, 48), (37, 23), (1, 1)])
def test_every_kind_of_jpeg_is_decoded_bit_for_bit_as_opencv_does(
    collins: Pixels, size: tuple[int, int], mode: str, options: dict[str, object]
) -> None:
    data = encoded(Image.fromarray(collins).resize(size).convert(mode), "JPEG", **options)
    assert np.array_equal(decode(data, LIMITS), by_opencv(data))


def test_a_jpeg_is_decoded_by_simplejpeg_and_then_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[:, :, None], 3, axis=2)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda _data, _colors: stored)
    photo = decode(encoded(Image.new("RGB", (2, 2)), "JPEG", exif=exif(6)), LIMITS)
    assert photo[:, :, 0].tolist() == [[3, 1], [4, 2]]


def test_a_jpeg_that_simplejpeg_refuses_is_a_photo_if_pillow_takes_it() -> None:
    ends_early = jpeg_header(64, 64)
    with pytest.raises(ValueError, match="premature end of data"):
        simplejpeg.decode_jpeg(ends_early, "RGB")
    assert decode(ends_early, LIMITS).shape == (64, 64, 3)


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("size", [(1, 1), (23, 37), (64, 3)])
def test_a_lossless_format_gives_the_pixels_that_went_in(kind: str, size: tuple[int, int]) -> None:
    photo = NOISE.resize(size)
    assert np.array_equal(decode(encoded(photo, kind, **LOSSLESS[kind]), LIMITS), np.asarray(photo))


@pytest.mark.parametrize(
    "data",
    [
        PNG + b"bytes behind the end",
        encoded(NOISE, "PNG", icc_profile=b"p" * 500, dpi=(72, 72)),
        with_chunk(b"tEXt", b"Raw profile type exif\0", len(PNG) - 12),
        with_chunk(b"acTL", struct.pack(">2I", 1, 0), 33),
        with_damaged_frame(),  # of which OpenCV 5.0 dies
        encoded(NOISE, "WEBP", quality=70),
        encoded(NOISE, "WEBP", lossless=True, icc_profile=b"p" * 500),
        *(bmp(head, step) for head in (40, 108, 124) for step in (-1, 1)),
        encoded(NOISE.convert("P"), "BMP"),
        encoded(NOISE.convert("L"), "PPM"),
        encoded(NOISE, "PPM").replace(b"P6\n", b"P6\n# a comment\n"),
    ],
)
def test_the_pixels_are_those_that_pillow_reads(data: bytes) -> None:
    assert np.array_equal(decode(data, LIMITS), by_pillow(data))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "GIF"])
def test_a_lossy_format_gives_nearly_the_pixels_that_went_in(collins: Pixels, kind: str) -> None:
    small = cv2.resize(collins, (128, 128), interpolation=cv2.INTER_AREA)
    got = decode(encoded(Image.fromarray(small), kind), LIMITS)
    assert np.abs(got.astype(int) - small).mean() < 6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_the_first_of_several_pictures_is_the_photo(kind: str) -> None:
    red, blue = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")
    photo = decode(encoded(red, kind, save_all=True, append_images=[blue]), LIMITS)
    assert np.abs(photo.astype(int) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_an_uncompressed_file_is_copied_and_not_decoded(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(ImageFile, "load", lambda *_: pytest.fail("decoded by Pillow"))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded by OpenCV"))
    photo = decode(encoded(NOISE, kind), LIMITS)
    assert np.array_equal(photo, np.asarray(NOISE))
    assert photo.flags.writeable


@pytest.mark.parametrize(
    ("data", "name"),
    [
        *((encoded(NOISE, kind), kind) for kind in ("ICO", "PCX", "SGI", "EPS", "DDS", "ICNS", "PDF")),
        (b"\xff\x0a\xfa\x9f\x01", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n  <?xml version='1.0'?><svg/>", "SVG or XML"),
        (b"%PDF-1.7 and so on", "PDF"),
    ],
)
def test_another_format_is_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"expected one of JPEG, PNG, .*, PPM, got {name}$"):
        decode(data, LIMITS)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xd8", b"\x89PNG", b"a text, not an image", b"\0" * 5000])
def test_bytes_that_are_no_image_are_invalid(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="expected an image, got bytes of an unknown format"):
        decode(data, LIMITS)
