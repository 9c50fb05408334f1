"""TIFF: color of 16 bits a channel, whose planes neither Pillow nor OpenCV reads right."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

_BITS, _COMPRESSION, _PHOTOMETRY, _STRIPS, _STRIP_SIZES, _LAYOUT = 258, 259, 262, 273, 279, 284
_RGB, _IN_PLANES, _UNCOMPRESSED = 2, 2, 1


def has_deep_color(image: Image.Image) -> bool:
    tags = _tags(image)
    return set(tags.get(_BITS, ())) == {16} and tags.get(_PHOTOMETRY) == _RGB


def is_in_planes(image: Image.Image) -> bool:
    return bool(_tags(image).get(_LAYOUT) == _IN_PLANES)


def is_compressed(image: Image.Image) -> bool:
    return bool(_tags(image).get(_COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED)


def read_planes(data: bytes, image: Image.Image) -> np.ndarray:
    """Return values (H, W, 3 or 4) uint16. Raises ValueError if the strips do not hold them."""
    tags = _tags(image)
    channels = len(tags[_BITS])
    sizes = tags.get(_STRIP_SIZES, ())
    expected, promised = channels * image.height * image.width * 2, sum(abs(size) for size in sizes)
    if channels not in (3, 4) or promised != expected:  # before reading, since every strip may be the whole file
        raise ValueError(f"expected 3 or 4 planes and {expected} bytes of strips, got {channels} and {promised}")
    content = b"".join(data[start : start + size] for start, size in zip(tags.get(_STRIPS, ()), sizes, strict=True))
    if len(content) != expected:
        raise ValueError(f"expected {expected} bytes of strips, got {len(content)}")
    values = np.frombuffer(content, "<u2" if tags.prefix == b"II" else ">u2")
    planes = values.reshape(channels, image.height, image.width)
    return np.moveaxis(planes, 0, 2).astype(np.uint16)


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})
