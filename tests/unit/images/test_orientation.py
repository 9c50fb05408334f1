"""A phone stores the photo as its sensor was held and says so in EXIF; the decoded photo is upright."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile

from app.domain.arrays import Pixels
from app.images.decode import ImageLimits, decode
from tests.support.encoding import ORIENTATION, encoded, exif, exif_block

LIMITS = ImageLimits()
KINDS = ["JPEG RGB", "JPEG L", "JPEG CMYK", "PNG RGB", "PNG P", "WEBP RGBA", "TIFF RGB", "AVIF RGB"]
# The quarters of the upright photo, row by row, where white and red are stored above green and blue (EXIF 2.32).
CORNERS = {1: "wrgb", 2: "rwbg", 3: "bgrw", 4: "gbwr", 5: "wgrb", 6: "gwbr", 7: "brgw", 8: "rbwg"}
SIZES = dict.fromkeys(range(1, 5), (32, 48)) | dict.fromkeys(range(5, 9), (48, 32))
COLORS = {"w": (255, 255, 255), "r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255)}


def marked() -> Image.Image:
    """Return a photo of 48 x 32 with a colour in every quarter: white and red above green and blue."""
    quarters = np.array([[COLORS["w"], COLORS["r"]], [COLORS["g"], COLORS["b"]]], np.uint8)
    return Image.fromarray(quarters.repeat(16, axis=0).repeat(24, axis=1))


def corners(pixels: Pixels) -> str:
    """Return the colour in the middle of each quarter, row by row."""
    height, width = pixels.shape[:2]
    seen = [pixels[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return "".join(min(COLORS, key=lambda name: int(np.abs(COLORS[name] - color.astype(int)).sum())) for color in seen)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_undone_as_exif_defines_it(orientation: int) -> None:
    photo = decode(encoded(marked(), "PNG", exif=exif(orientation)), LIMITS)
    assert corners(photo) == CORNERS[orientation]
    assert photo.shape == (*SIZES[orientation], 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_rotated_as_pillow_rotates_it(kind: str) -> None:
    kind, mode = kind.split()
    for orientation in range(1, 9):
        data = encoded(marked().convert(mode), kind, exif=exif(orientation))
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        assert np.array_equal(decode(data, LIMITS), np.asarray(upright)), orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_exif_does_not_define_is_ignored(kind: str, orientation: int) -> None:
    assert corners(decode(encoded(marked(), kind, exif=exif(orientation)), LIMITS)) == CORNERS[1]


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize(
    "nonsense",
    [
        (0x011B, 9, 1, struct.pack("<i", -5)),
        (0x0100, 2, 4, b"abc\0"),
        (0x010F, 2, 100, struct.pack("<I", 5000)),
        (0x8769, 4, 1, struct.pack("<I", 5000)),
    ],
    ids=["a negative resolution", "a width in words", "a name beyond the end", "a directory beyond the end"],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_nonsense_beside_the_orientation_does_no_harm(mode: str, nonsense: tuple[int, int, int, bytes]) -> None:
    block = exif_block((ORIENTATION, 3, 1, struct.pack("<HH", 6, 0)), nonsense)
    assert corners(decode(encoded(marked().convert(mode), "JPEG", exif=block), LIMITS)) == CORNERS[6]


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0no tags at all", exif_block((ORIENTATION, 2, 4, b"six\0"))]
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_exif_that_cannot_be_read_is_ignored(block: bytes) -> None:
    assert corners(decode(encoded(marked(), "JPEG", exif=block), LIMITS)) == CORNERS[1]


def test_a_png_with_exif_behind_its_pixels_is_rotated() -> None:
    data = encoded(marked(), "PNG", exif=exif(6))
    place = data.index(b"eXIf") - 4
    size = 12 + int.from_bytes(data[place : place + 4], "big")
    moved = data[:place] + data[place + size : -12] + data[place : place + size] + data[-12:]
    assert moved.index(b"IDAT") < moved.index(b"eXIf")
    assert corners(decode(moved, LIMITS)) == CORNERS[6]


def test_a_png_is_decoded_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV does; Pillow would do it again to look for EXIF behind the pixels."""
    monkeypatch.setattr(PngImageFile, "load", lambda *_: pytest.fail("decoded again"))
    assert corners(decode(encoded(marked(), "PNG", exif=exif(6)), LIMITS)) == CORNERS[6]
    assert corners(decode(encoded(marked(), "PNG"), LIMITS)) == CORNERS[1]


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xff\xff"])
def test_filler_bytes_before_a_segment_do_not_hide_it(filler: bytes) -> None:
    data = encoded(marked(), "JPEG", exif=exif(3))
    place = data.index(b"\xff\xe1")
    assert corners(decode(data[:place] + filler + data[place:], LIMITS)) == CORNERS[3]
