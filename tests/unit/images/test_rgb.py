"""Every colour mode becomes 8-bit RGB: against values computed by hand, and whatever the strips."""

import cv2
import numpy as np
import pytest
from PIL import Image

from app.domain.arrays import Pixels
from app.images import rgb
from app.images.decode import ImageLimits, decode
from tests.support.encoding import encoded

WHITE = (255, 255, 255)
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"]


def decoded(image: Image.Image, kind: str = "PNG", **options: object) -> Pixels:
    return decode(encoded(image, kind, **options), ImageLimits())


def row(pixels: Pixels) -> list[tuple[int, ...]]:
    """Return the colours of an image of one row."""
    return [tuple(color) for color in pixels[0].tolist()]


def palette_image(*palette: int) -> Image.Image:
    """Return an image of two pixels: the first and the second colour of the palette."""
    image = Image.new("P", (2, 1))
    image.putpalette(list(palette))
    image.putpixel((1, 0), 1)
    return image


def greys(*levels: int) -> list[tuple[int, ...]]:
    return [(level, level, level) for level in levels]


def image_of(*colors: object, mode: str | None = None) -> Image.Image:
    return Image.fromarray(np.array([colors], bool if isinstance(colors[0], bool) else np.uint8), mode)


TWO = palette_image(10, 20, 30, 200, 100, 50)
ALIKE = palette_image(100, 0, 200, 100, 0, 200)
CLEAR = image_of((100, 0, 200, 255), (100, 0, 200, 51), (100, 0, 200, 0))
OVER_WHITE = [(100, 0, 200), (224, 204, 244), WHITE]  # a fifth of the colour over four fifths of white
EXACT = {"lossless": True, "exact": True}


@pytest.mark.parametrize(
    ("image", "kind", "options", "colors"),
    [
        pytest.param(image_of(0, 100, 255), "PNG", {}, greys(0, 100, 255), id="grey"),
        pytest.param(image_of(False, True), "PNG", {}, greys(0, 255), id="one bit"),  # noqa: FBT003
        pytest.param(TWO, "PNG", {}, [(10, 20, 30), (200, 100, 50)], id="palette"),
        pytest.param(TWO, "PNG", {"transparency": 1}, [(10, 20, 30), WHITE], id="transparent color of a PNG"),
        pytest.param(TWO, "GIF", {"transparency": 1}, [(10, 20, 30), WHITE], id="transparent color of a GIF"),
        pytest.param(ALIKE, "PNG", {"transparency": b"\xff\x33"}, OVER_WHITE[:2], id="palette, partly transparent"),
        pytest.param(
            image_of((1, 2, 3), (4, 5, 6)),
            "PNG",
            {"transparency": (1, 2, 3)},
            [WHITE, (4, 5, 6)],
            id="transparent RGB",
        ),
        pytest.param(CLEAR, "PNG", {}, OVER_WHITE, id="RGBA in PNG"),
        pytest.param(CLEAR, "TIFF", {}, OVER_WHITE, id="RGBA in TIFF"),
        pytest.param(CLEAR, "WEBP", EXACT, OVER_WHITE, id="RGBA in WebP"),
        pytest.param(
            image_of((100, 255), (100, 51), (100, 0), mode="LA"), "PNG", {}, greys(100, 224, 255), id="grey with alpha"
        ),
    ],
)
def test_a_mode_becomes_these_colors(
    image: Image.Image, kind: str, options: dict[str, object], colors: list[tuple[int, ...]]
) -> None:
    assert row(decoded(image, kind, **options)) == colors


def test_cmyk_is_converted_by_its_definition() -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [51, 0, 102, 0], [0, 0, 0, 255], [51, 0, 0, 51]]], np.uint8)
    # (255 - ink) * (255 - black) / 255: the last is (255 - 51) * (255 - 51) / 255 = 163.2
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
def test_16_bit_grey_is_scaled_from_the_bits_that_it_uses(byte_order: str) -> None:
    for largest, levels in (65535, (0, 1, 128, 255)), (4095, (0, 16, 128, 255)), (1023, (0, 64, 128, 255)):
        values = np.array([[0, 257, round(128 * largest / 255), largest]], byte_order)
        assert row(decoded(Image.fromarray(values), "TIFF")) == greys(*levels)
    assert row(decoded(Image.fromarray(np.array([[0, 100, 200]], byte_order)), "TIFF")) == greys(0, 25, 50)


def test_a_16_bit_png_keeps_its_upper_bytes() -> None:
    color = np.array([[[0, 0x1234, 0xFFFF]]], np.uint16)  # blue, green, red to OpenCV
    _, data = cv2.imencode(".png", color)
    assert row(decode(data.tobytes(), ImageLimits())) == [(255, 0x12, 0)]


@pytest.mark.parametrize(
    ("dtype", "values", "levels"),
    [
        (np.int32, [0, 100, 255], (0, 100, 255)),
        (np.int32, [0, 1], (0, 1)),
        (np.int32, [0, 257, 65535], (0, 1, 255)),
        (np.int32, [-7, 0, 65535], (0, 0, 255)),
        (np.int32, [0, 65536, 131072], (0, 128, 255)),
        (np.float32, [0, 0.2, 1], (0, 51, 255)),
        (np.float32, [0, 100, 255], (0, 100, 255)),
        (np.float32, [0, 257, 65535], (0, 1, 255)),
        (np.float32, [-1, 0, 0], (0, 0, 0)),
        (np.float32, [np.nan, 0.2, 1], (0, 51, 255)),
        (np.float32, [0, 1, np.inf], (0, 0, 255)),
    ],
)
def test_deep_grey_uses_the_smallest_range(
    dtype: type[np.number], values: list[float], levels: tuple[int, ...]
) -> None:
    assert row(decoded(Image.fromarray(np.array([values], dtype)), "TIFF")) == greys(*levels)


def random_image(mode: str) -> Image.Image:
    random = np.random.default_rng(3)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (23, 31), np.uint16))
    if mode in ("I", "F"):
        levels = random.integers(-5, 300, (23, 31))
        return Image.fromarray(levels.astype(np.int32 if mode == "I" else np.float32))
    return Image.fromarray(random.integers(0, 256, (23, 31, 4), np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_the_size_of_strips_changes_no_pixel(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    kind, options = ("PNG", {}) if mode in ("LA", "P") else ("TIFF", {"compression": "tiff_adobe_deflate"})
    whole = decoded(random_image(mode), kind, **options)
    for pixels in (1, 31, 100, 31 * 22):
        monkeypatch.setattr(rgb, "_STRIP_PIXELS", pixels)
        assert np.array_equal(decoded(random_image(mode), kind, **options), whole), pixels


def test_the_range_of_deep_grey_is_that_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rgb, "_STRIP_PIXELS", 1)
    image = Image.fromarray(np.array([[0], [255], [65535]], np.int32))
    assert decoded(image, "TIFF")[:, 0, 0].tolist() == [0, 1, 255]
