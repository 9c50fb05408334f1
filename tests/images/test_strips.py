"""What Pillow decodes is converted in strips, which nobody sees in the pixels."""

import numpy as np
import pytest
from PIL import Image

from app.images import rgb
from app.images.decoding import ImageLimits, decode
from tests.support.encoding import encoded

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"]


def random_image(mode: str) -> Image.Image:
    random = np.random.default_rng(3)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (23, 31), np.uint16))
    if mode in ("I", "F"):
        levels = random.integers(-5, 300, (23, 31))
        return Image.fromarray(levels.astype(np.int32 if mode == "I" else np.float32))
    return Image.fromarray(random.integers(0, 256, (23, 31, 4), np.uint8)).convert(mode)


@pytest.mark.parametrize("pixels", [1, 31, 100, 31 * 22])
@pytest.mark.parametrize("mode", MODES)
def test_strips_make_no_difference(monkeypatch: pytest.MonkeyPatch, mode: str, pixels: int) -> None:
    kind, options = ("PNG", {}) if mode in ("LA", "P") else ("TIFF", {"compression": "tiff_adobe_deflate"})
    data = encoded(random_image(mode), kind, **options)
    at_once = decode(data, ImageLimits())

    monkeypatch.setattr(rgb, "_STRIP", pixels)

    assert np.array_equal(decode(data, ImageLimits()), at_once)


def test_the_range_of_deep_grey_is_that_of_the_whole_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rgb, "_STRIP", 1)
    image = Image.fromarray(np.array([[0], [255], [65535]], np.int32))

    assert decode(encoded(image, "TIFF"), ImageLimits())[:, 0, 0].tolist() == [0, 1, 255]
