"""The plainest files do without Pillow, and are what it would have made of them; what any other says is still read."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.domain.errors import ImageTooLarge, InvalidImage, LikenessError
from app.domain.models import Pixels
from app.images import decoding
from app.images.decoding import ImageLimits, decode
from app.images.plain import recognised
from tests.support.encoding import png_chunk

LIMITS = ImageLimits()
NOISE = np.random.default_rng(0).integers(0, 256, (23, 37, 3), np.uint8)
LOSSLESS: list[tuple[str, str, dict[str, object]]] = [
    ("PNG", "RGB", {}),
    ("PNG", "L", {}),
    ("PNG", "RGB", {"icc_profile": b"p" * 500, "dpi": (72, 72)}),
    ("WEBP", "RGB", {"lossless": True}),
    ("BMP", "RGB", {}),
    ("PPM", "RGB", {}),
]
KINDS = [*LOSSLESS, ("WEBP", "RGB", {"quality": 70}), ("JPEG", "RGB", {})]


def encoded(photo: np.ndarray, kind: str, mode: str | None = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(photo)
    image = image.convert(mode) if mode else image
    if mode == "RGBA":
        image.putalpha(100)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(photo: Pixels, mode: str = "RGB", **options: Any) -> bytes:
    return encoded(photo, "JPEG", mode, **options)


def by_pillow(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def turning(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(data: bytes) -> Image.Image:
        raise AssertionError(f"{len(data)} bytes reached Pillow")

    monkeypatch.setattr(decoding, "_open", refused)


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"comment": b"a comment"}, {"icc_profile": b"p" * 90_000}]
)
def test_plain_jpeg_is_read_without_pillow(collins: Pixels, mode: str, options: dict[str, object]) -> None:
    data = jpeg(collins, mode, **options)
    assert np.abs(decode(data, LIMITS).astype(int) - by_pillow(data)).max() <= 2


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize("size", [(1, 1), (23, 37), (64, 3)])
@pytest.mark.parametrize(("kind", "mode", "options"), [*LOSSLESS, ("WEBP", "RGB", {"quality": 70})])
def test_plain_files_are_read_without_pillow_to_its_pixels(
    size: tuple[int, int], kind: str, mode: str, options: dict[str, object]
) -> None:
    data = encoded(np.resize(NOISE, (*size, 3)), kind, mode, **options)
    assert np.array_equal(decode(data, LIMITS), by_pillow(data))
    assert decode(data, LIMITS).flags.writeable


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize("head", [108, 124])
@pytest.mark.parametrize("step", [-1, 1])
def test_a_bmp_of_any_windows_is_read_whichever_row_is_first(head: int, step: int) -> None:
    height, width = NOISE.shape[:2]
    rows = np.pad(NOISE[:, :, ::-1].reshape(height, -1), ((0, 0), (0, -3 * width % 4)))
    start = 14 + head
    info = struct.pack("<IiiHHI20x", head, width, -step * height, 1, 24, 0).ljust(head, b"\0")
    pixels = rows[::step].tobytes()
    data = struct.pack("<2sI4xI", b"BM", start + len(pixels), start) + info + pixels
    assert np.array_equal(decode(data, LIMITS), NOISE)


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize(("kind", "mode", "options"), KINDS)
def test_limits_hold_before_a_pixel_is_decoded(
    monkeypatch: pytest.MonkeyPatch, kind: str, mode: str, options: dict[str, object]
) -> None:
    monkeypatch.setattr(simplejpeg, "decode_jpeg", None)
    monkeypatch.setattr("app.images.plain.by_opencv", None)
    with pytest.raises(ImageTooLarge, match="37 x 23"):
        decode(encoded(NOISE, kind, mode, **options), ImageLimits(max_pixels=37 * 23 - 1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_is_not_overlooked(kind: str) -> None:
    turned = decode(encoded(NOISE, kind, exif=turning(6), lossless=True), LIMITS)
    assert np.array_equal(turned, np.rot90(decode(encoded(NOISE, kind, lossless=True), LIMITS), -1))


@pytest.mark.parametrize(
    "data",
    [
        encoded(NOISE, "PNG", transparency=tuple(map(int, NOISE[0, 0]))),
        encoded(NOISE, "PNG", "RGBA"),
        encoded(NOISE, "PNG", "P"),
        encoded(NOISE, "PNG", save_all=True, append_images=[Image.new("RGB", (37, 23))]),
        encoded(NOISE.astype(np.uint16)[:, :, 0] * 257, "PNG", None),
        encoded(NOISE, "PNG")[:-12] + png_chunk(b"tRNS", bytes(6)) + encoded(NOISE, "PNG")[-12:],
        encoded(NOISE, "PNG")[:-12] + png_chunk(b"tEXt", b"Raw profile type exif\0") + encoded(NOISE, "PNG")[-12:],
        encoded(NOISE, "PNG")[:33] + png_chunk(b"acTL", struct.pack(">2I", 1, 0)) + encoded(NOISE, "PNG")[33:],
        encoded(NOISE, "WEBP", "RGBA", lossless=True),
        encoded(NOISE, "WEBP", icc_profile=b"p" * 500),
        encoded(NOISE, "WEBP", save_all=True, append_images=[Image.new("RGB", (37, 23))]),
        encoded(NOISE, "BMP", "RGBA"),
        encoded(NOISE, "BMP", "P"),
        encoded(NOISE, "PPM", "L"),
        encoded(NOISE, "PPM").replace(b"P6\n", b"P6\n# a comment\n"),
        encoded(NOISE, "PPM").replace(b"255", b"65535"),
        jpeg(NOISE, "CMYK"),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_pillow(data: bytes) -> None:
    assert recognised(data) is None


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xff\xff"])
def test_bytes_that_fill_up_before_a_part_hide_nothing(collins: Pixels, filler: bytes) -> None:
    data = jpeg(collins, exif=turning(3))
    place = data.index(b"\xff\xe1")
    filled = data[:place] + filler + data[place:]
    assert np.array_equal(decode(filled, LIMITS), decode(data, LIMITS))


@pytest.mark.parametrize("length", [2, 3, 20, 100, 300])
def test_the_beginning_of_one_is_no_photo(collins: Pixels, length: int) -> None:
    with pytest.raises(InvalidImage):
        decode(jpeg(collins)[:length], LIMITS)


@settings(max_examples=300)
@given(
    data=st.sampled_from([encoded(NOISE, kind, mode, **options) for kind, mode, options in KINDS]),
    place=st.integers(0, 70),
    taken=st.integers(0, 4),
    put=st.binary(max_size=4),
)
def test_a_damaged_head_gives_what_it_gives_by_pillow(data: bytes, place: int, taken: int, put: bytes) -> None:
    damaged = data[:place] + put + data[place + taken :]
    plain = outcome(damaged)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoding, "recognised", lambda _: None)
        assert plain == outcome(damaged)


def outcome(data: bytes) -> object:
    """The photo; of files that are none, that they are."""
    try:
        photo = decode(data, LIMITS)
    except LikenessError:
        return None
    return photo.shape, photo.tobytes()
