"""Files whose pixels are whole are photos, though they lost something else on their way."""

import io
import struct
from itertools import product

import cv2
import numpy as np
import pytest
from PIL import Image

from app.domain.arrays import Pixels
from app.domain.errors import InvalidImage
from app.images.decode import ImageLimits, decode
from app.images.png import MAX_CHUNKS
from tests.support.encoding import encoded, exif, png_chunk

LIMITS = ImageLimits()
END_OF_JPEG = b"\xff\xd9"
JPEGS: dict[str, tuple[str, dict[str, object]]] = {
    "color": ("RGB", {"quality": 90}),
    "grey": ("L", {}),
    "progressive": ("RGB", {"progressive": True}),
    "with restart markers": ("RGB", {"restart_marker_rows": 1}),
    "inks": ("CMYK", {"quality": 95}),
}
SIDE_CHUNKS = {
    "text": (b"tEXt", b"Comment\0a comment"),
    "international text": (b"iTXt", b"Comment\0\0\0\0\0a comment"),
    "compressed text": (b"zTXt", b"Comment\0\0not compressed"),
    "profile": (b"iCCP", b"name\0\0not compressed"),
    "resolution": (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
    "time": (b"tIME", bytes(7)),
    "gamma": (b"gAMA", struct.pack(">I", 45455)),
    "of no known kind": (b"abCd", b"content"),
}


@pytest.fixture(scope="module")
def small(collins: Pixels) -> Image.Image:
    return Image.fromarray(cv2.resize(collins, (128, 96), interpolation=cv2.INTER_AREA))


def insert(png: bytes, chunk: bytes, place: str) -> bytes:
    at = 33 if place == "before the pixels" else len(png) - 12
    return png[:at] + chunk + png[at:]


def damaged(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 0xFF])


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize(("mode", "options"), JPEGS.values(), ids=JPEGS)
def test_a_jpeg_without_its_end_is_the_same_photo(
    small: Image.Image, mode: str, options: dict[str, object], lost: int
) -> None:
    whole = encoded(small.convert(mode), "JPEG", **options)
    assert whole.endswith(END_OF_JPEG)
    assert np.array_equal(decode(whole[:-lost], LIMITS), decode(whole, LIMITS))


def test_a_jpeg_without_its_end_is_rotated_as_its_exif_says(small: Image.Image) -> None:
    whole = encoded(small, "JPEG", exif=exif(6))
    assert decode(whole[:-2], LIMITS).shape == (128, 96, 3)
    assert np.array_equal(decode(whole[:-2], LIMITS), decode(whole, LIMITS))


@pytest.mark.parametrize(("mode", "options"), JPEGS.values(), ids=JPEGS)
def test_a_jpeg_that_lost_pixels_is_refused(small: Image.Image, mode: str, options: dict[str, object]) -> None:
    whole = encoded(small.convert(mode), "JPEG", **options)
    for lost, end in product((12, 50, 500), (b"", b"\xff")):
        with pytest.raises(InvalidImage, match="broken JPEG image"):
            decode(whole[:-lost] + end, LIMITS)


@pytest.mark.parametrize("place", ["before the pixels", "behind the pixels"])
@pytest.mark.parametrize(("kind", "content"), SIDE_CHUNKS.values(), ids=SIDE_CHUNKS)
def test_a_damaged_side_chunk_does_not_spoil_a_png(small: Image.Image, kind: bytes, content: bytes, place: str) -> None:
    png = encoded(small, "PNG")
    photo = decode(insert(png, damaged(png_chunk(kind, content)), place), LIMITS)
    assert np.array_equal(photo, np.asarray(small))


def test_the_side_chunks_that_change_the_photo_are_kept_beside_a_damaged_one(small: Image.Image) -> None:
    clear = encoded(small, "PNG", transparency=small.getpixel((0, 0)), exif=exif(6))
    photo = decode(insert(clear, damaged(png_chunk(b"tEXt", b"Comment\0text")), "before the pixels"), LIMITS)
    assert np.array_equal(photo, decode(clear, LIMITS))
    assert photo.shape == (128, 96, 3)


def test_a_png_whose_pixels_are_damaged_is_refused(small: Image.Image) -> None:
    png = bytearray(encoded(small, "PNG"))
    png[len(png) // 2] ^= 0xFF
    for data in (bytes(png), insert(bytes(png), damaged(png_chunk(b"tEXt", b"a\0b")), "before the pixels")):
        with pytest.raises(InvalidImage, match="broken PNG"):
            decode(data, LIMITS)


def test_chunks_beyond_what_an_encoder_makes_are_not_left_out(small: Image.Image) -> None:
    png = encoded(small, "PNG")
    many = png[:33] + damaged(png_chunk(b"abCd")) * MAX_CHUNKS + png[33:]
    with pytest.raises(InvalidImage, match="broken PNG image"):
        decode(many, LIMITS)


def test_no_side_chunk_is_left_out_of_a_sound_png(small: Image.Image) -> None:
    png = insert(encoded(small, "PNG"), png_chunk(b"tEXt", b"Comment\0text"), "before the pixels")
    assert np.array_equal(decode(png, LIMITS), np.asarray(Image.open(io.BytesIO(png))))
