"""Convert what Pillow decoded, in any colour mode, to 8-bit RGB: in strips, since Pillow's conversions copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from app.domain.arrays import Pixels

_STRIP_PIXELS = 1_000_000
_RANGES_OF_16_BITS = (1023.0, 4095.0, 16383.0, 65535.0)
"""The largest values of sensors with 10, 12, 14 and 16 bits, all of which are stored in 16."""


def to_rgb(image: Image.Image) -> Pixels:
    """Return (H, W, 3) pixels: transparency over white, deep grey scaled from the range that its values have."""
    if image.mode.startswith(("I", "F")):
        return _deep_grey_to_rgb(np.asarray(image))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in _strips(image.height, image.width):
        pixels[rows] = _strip_to_rgb(image.crop((0, rows.start, image.width, rows.stop)))
    return pixels


def _strip_to_rgb(image: Image.Image) -> Pixels:
    if "A" in image.getbands() or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _deep_grey_to_rgb(values: np.ndarray) -> Pixels:
    """Scale 16-bit, 32-bit or float grey to 8 bits, from the smallest usual range that holds every value."""
    maximum = _range_maximum(values)
    scale = 255.0 / maximum
    pixels = np.empty((*values.shape, 3), np.uint8)
    for rows in _strips(*values.shape):
        grey = _finite(values[rows]).clip(0, maximum)
        pixels[rows] = (grey * scale).round().astype(np.uint8)[:, :, None]
    return pixels


def deep_color_to_rgb(values: np.ndarray) -> Pixels:
    """Return (H, W, 3) pixels of 16-bit values (H, W, 3 or 4): red, green, blue and alpha, which goes over white."""
    maximum = _range_maximum(values[:, :, :3])
    pixels = np.empty((*values.shape[:2], 3), np.uint8)
    for rows in _strips(*values.shape[:2]):
        color = values[rows, :, :3].astype(np.float32) * (255 / maximum)
        if values.shape[2] == 4:
            alpha = values[rows, :, 3:].astype(np.float32) / 65535
            color = color * alpha + 255 * (1 - alpha)
        pixels[rows] = color.round().astype(np.uint8)
    return pixels


def _range_maximum(values: np.ndarray) -> float:
    if values.dtype == np.uint16 or values.dtype == np.dtype(">u2"):
        return next(maximum for maximum in _RANGES_OF_16_BITS if values.max() <= maximum)
    largest = max((float(_finite(values[rows]).max()) for rows in _strips(*values.shape)), default=0.0)
    maximum = next((usual for usual in (1.0, 255.0, 65535.0) if largest <= usual), largest)
    return 255.0 if values.dtype.kind in "iu" and maximum == 1.0 else maximum


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float32))


def _strips(height: int, width: int) -> Iterator[slice]:
    """Yield the rows of each strip."""
    rows = max(1, _STRIP_PIXELS // max(1, width))
    return (slice(top, min(height, top + rows)) for top in range(0, height, rows))
