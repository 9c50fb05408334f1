"""What Pillow decoded, of any colours and depth, as 8-bit RGB: in strips, because its conversions copy the photo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from app.domain.models import Pixels

_STRIP = 1_000_000  # pixels that are converted at once


def to_rgb(image: Image.Image) -> Pixels:
    """(H, W, 3): transparency over white; of deep grey, the range that its values have."""
    if image.mode.startswith(("I", "F")):
        return _deep_grey(np.asarray(image))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, bottom in _strips(image.height, image.width):
        pixels[top:bottom] = _strip_to_rgb(image.crop((0, top, image.width, bottom)))
    return pixels


def _strip_to_rgb(image: Image.Image) -> Pixels:
    if "A" in image.getbands() or "transparency" in image.info:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _deep_grey(values: np.ndarray) -> Pixels:
    """16-bit, 32-bit or float grey to 8 bits, by the smallest usual range that holds every value."""
    scale = 255.0 / (top := _top_of(values))
    pixels = np.empty((*values.shape, 3), np.uint8)
    for start, stop in _strips(*values.shape):
        grey = _finite(values[start:stop]).clip(0, top)
        pixels[start:stop] = (grey * scale).round().astype(np.uint8)[:, :, None]
    return pixels


def _top_of(values: np.ndarray) -> float:
    if values.dtype == np.uint16 or values.dtype == np.dtype(">u2"):
        return 65535.0
    most = max((float(_finite(values[start:stop]).max()) for start, stop in _strips(*values.shape)), default=0.0)
    top = next((t for t in (1.0, 255.0, 65535.0) if most <= t), most)
    return 255.0 if values.dtype.kind in "iu" and top == 1.0 else top


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float32))


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row, and the one after the last."""
    rows = max(1, _STRIP // max(1, width))
    return ((top, min(height, top + rows)) for top in range(0, height, rows))
