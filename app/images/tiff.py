"""TIFF: color of 16 bits a channel in planes. Pillow keeps 8 bits of it or misreads it, OpenCV misreads it."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

_BITS, _COMPRESSION, _PHOTOMETRY, _STRIPS, _STRIP_SIZES, _LAYOUT = 258, 259, 262, 273, 279, 284
_RGB, _IN_PLANES, _UNCOMPRESSED = 2, 2, 1
_TILES, _TILE_SIZES = 324, 325
_OF_EACH_PLANE = (256, 257, 259, 266, 278, 317, 322, 323)
"""Tags that hold for each plane: sides, compression, order of bits, rows of a strip, predictor, sides of a tile."""
_OF_A_GREY_PLANE = {_BITS: [16], _PHOTOMETRY: [1], 277: [1]}


def has_deep_color(image: Image.Image) -> bool:
    tags = _tags(image)
    return set(tags.get(_BITS, ())) == {16} and tags.get(_PHOTOMETRY) == _RGB


def is_in_planes(image: Image.Image) -> bool:
    return bool(_tags(image).get(_LAYOUT) == _IN_PLANES)


def is_in_plain_strips(image: Image.Image) -> bool:
    tags = _tags(image)
    return bool(tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED and _TILES not in tags)


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


def decode_planes(data: bytes, image: Image.Image) -> np.ndarray:
    """Return values (H, W, 3 or 4) uint16 of planes that are compressed or in tiles. Pillow raises for broken ones."""
    tags = _tags(image)
    channels = len(tags[_BITS])
    if channels not in (3, 4):
        raise ValueError(f"expected 3 or 4 planes, got {channels}")
    return np.stack([_decode_grey(_grey_file(data, tags, plane, channels)) for plane in range(channels)], axis=2)


def _decode_grey(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
        return np.asarray(image).astype(np.uint16)


def _grey_file(data: bytes, tags: Any, plane: int, planes: int) -> bytes:
    """Return a TIFF whose only channel is that plane: the same bytes, with a directory of its own at their end."""
    entries = _OF_A_GREY_PLANE | {tag: [tags[tag]] for tag in _OF_EACH_PLANE if tag in tags}
    for tag in (_TILES, _TILE_SIZES) if _TILES in tags else (_STRIPS, _STRIP_SIZES):
        count = len(tags[tag]) // planes
        entries[tag] = list(tags[tag][plane * count : (plane + 1) * count])
    order = "<" if tags.prefix == b"II" else ">"
    start = len(data) + len(data) % 2
    return (
        data[:4]
        + struct.pack(f"{order}I", start)
        + data[8:].ljust(start - 8, b"\0")
        + _directory(entries, order, start)
    )


def _directory(entries: dict[int, Sequence[int]], order: str, start: int) -> bytes:
    """Return a directory of 32-bit numbers that lies at `start` in its file."""
    table, values = struct.pack(f"{order}H", len(entries)), b""
    values_start = start + 2 + 12 * len(entries) + 4
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        where = packed if len(numbers) == 1 else struct.pack(f"{order}I", values_start + len(values))
        values += packed if len(numbers) > 1 else b""
        table += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + where
    return table + bytes(4) + values


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})
