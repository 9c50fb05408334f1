"""Every colour mode to 8-bit RGB, against values computed by hand."""

import cv2
import numpy as np
import pytest
from PIL import Image

from app.domain.models import Pixels
from app.images.decoding import ImageLimits, decode
from tests.support.encoding import encoded

WHITE = (255, 255, 255)


def decoded(image: Image.Image, kind: str = "PNG", **options: object) -> Pixels:
    return decode(encoded(image, kind, **options), ImageLimits())


def row(pixels: Pixels) -> list[tuple[int, ...]]:
    """The colours of the one row of an image."""
    return [tuple(colour) for colour in pixels[0].tolist()]


def greys(*levels: int) -> list[tuple[int, ...]]:
    return [(level, level, level) for level in levels]


def test_grey_is_the_same_in_every_channel() -> None:
    assert row(decoded(Image.fromarray(np.array([[0, 100, 255]], np.uint8)))) == greys(0, 100, 255)


def test_one_bit_is_black_and_white() -> None:
    assert row(decoded(Image.fromarray(np.array([[False, True]])))) == greys(0, 255)


def test_a_palette_is_looked_up() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)

    assert row(decoded(image)) == [(10, 20, 30), (200, 100, 50)]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_the_transparent_colour_of_a_palette_is_white(kind: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)

    assert row(decoded(image, kind, transparency=1)) == [(10, 20, 30), WHITE]


def test_a_palette_with_degrees_of_transparency_shows_white_through() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([100, 0, 200, 100, 0, 200])
    image.putpixel((1, 0), 1)

    # a fifth of (100, 0, 200) over four fifths of white
    assert row(decoded(image, transparency=bytes([255, 51]))) == [(100, 0, 200), (224, 204, 244)]


def test_the_transparent_colour_of_rgb_is_white() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))

    assert row(decoded(image, transparency=(1, 2, 3))) == [WHITE, (4, 5, 6)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_rgba_lies_over_white(kind: str) -> None:
    pixels = np.array([[[100, 0, 200, 255], [100, 0, 200, 51], [100, 0, 200, 0]]], np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}

    assert row(decoded(Image.fromarray(pixels), kind, **options)) == [(100, 0, 200), (224, 204, 244), WHITE]


def test_grey_with_alpha_lies_over_white() -> None:
    pixels = np.array([[[100, 255], [100, 51], [100, 0]]], np.uint8)

    assert row(decoded(Image.fromarray(pixels, "LA"))) == greys(100, 224, 255)


def test_cmyk_is_light_that_ink_leaves() -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [51, 0, 102, 0], [0, 0, 0, 255], [51, 0, 0, 51]]], np.uint8)

    # 255 - ink, of that what black leaves: the last is (255 - 51) * (255 - 51) / 255 = 163.2
    assert row(decoded(Image.fromarray(inks, "CMYK"), "TIFF")) == [
        WHITE,
        (0, 255, 255),
        (204, 255, 153),
        (0, 0, 0),
        (163, 204, 204),
    ]


def test_a_cmyk_jpeg_is_not_read_as_its_negative() -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))

    assert np.abs(decoded(cyan, "JPEG", quality=95).astype(int) - (0, 255, 255)).max() <= 3


def test_ycbcr_is_converted_by_its_definition() -> None:
    image = Image.fromarray(np.array([[[128, 128, 128], [76, 85, 255]]], np.uint8), "YCbCr")

    # JFIF: R = 76 + 1.402 * 127, G = 76 + 0.344 * 43 - 0.714 * 127, B = 76 - 1.772 * 43
    assert row(decoded(image, "TIFF")) == [(128, 128, 128), (254, 0, 0)]


@pytest.mark.parametrize("byte_order", ["<u2", ">u2"])
def test_16_bit_grey_uses_the_whole_range_however_dark_it_is(byte_order: str) -> None:
    levels = np.array([[0, 257, 128 * 257, 65535]], byte_order)

    assert row(decoded(Image.fromarray(levels), "TIFF")) == greys(0, 1, 128, 255)
    assert row(decoded(Image.fromarray(np.array([[0, 100, 200]], byte_order)), "TIFF")) == greys(0, 0, 1)


def test_a_16_bit_png_keeps_its_upper_bytes() -> None:
    colour = np.array([[[0, 0x1234, 0xFFFF]]], np.uint16)  # blue, green, red to OpenCV
    _, data = cv2.imencode(".png", colour)

    assert row(decode(data.tobytes(), ImageLimits())) == [(255, 0x12, 0)]


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([0, 100, 255], (0, 100, 255)),
        ([0, 1], (0, 1)),
        ([0, 257, 65535], (0, 1, 255)),
        ([-7, 0, 65535], (0, 0, 255)),
        ([0, 65536, 131072], (0, 128, 255)),
    ],
    ids=["8 bits", "two levels", "16 bits", "negative is black", "beyond 16 bits"],
)
def test_32_bit_grey_uses_the_smallest_usual_range_that_holds_it(values: list[int], levels: tuple[int, ...]) -> None:
    assert row(decoded(Image.fromarray(np.array([values], np.int32)), "TIFF")) == greys(*levels)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([0, 0.2, 1], (0, 51, 255)),
        ([0, 100, 255], (0, 100, 255)),
        ([0, 257, 65535], (0, 1, 255)),
        ([-1, 0, 0], (0, 0, 0)),
        ([np.nan, 0.2, 1], (0, 51, 255)),
        ([0, 1, np.inf], (0, 0, 255)),
    ],
    ids=["a share", "8 bits", "16 bits", "negative is black", "not a number is black", "infinite is white"],
)
def test_float_grey_uses_the_smallest_usual_range_that_holds_it(values: list[float], levels: tuple[int, ...]) -> None:
    assert row(decoded(Image.fromarray(np.array([values], np.float32)), "TIFF")) == greys(*levels)
