"""
The plainest files, read without Pillow: colour or grey of 8 bits, and nothing in them that turns or covers a pixel.

Their size stands at a known place, so that limits hold before a pixel is decoded; finding it takes microseconds, where
Pillow's readers of WebP, BMP and PPM take up to a fifth of the decoding. Whatever is out of the ordinary, broken or cut
short is not known here: Pillow tells what it is.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from app.domain.models import Pixels
from app.images.jpeg import by_simplejpeg, plain_size

_PNG_COLOURS = (0, 2)  # grey and RGB
_PNG_PARTS = (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs", b"tIME", b"IDAT")  # beside the head and the end
_MOST_PNG_PARTS = 10_000
_BMP_HEADS = (40, 108, 124)  # lengths of what three versions of Windows write
_PPM = re.compile(rb"P6[ \t\r\n]+([1-9]\d{0,5})[ \t\r\n]+([1-9]\d{0,5})[ \t\r\n]+255[ \t\r\n]")


@dataclass(frozen=True, slots=True)
class PlainFile:
    """`read` gives its pixels (H, W, 3), RGB; None or any exception where it turns out to be broken."""

    width: int
    height: int
    read: Callable[[], Pixels | None]


def recognised(data: bytes) -> PlainFile | None:
    """The file, where it is one of the plainest; no pixel is decoded yet."""
    known = (find for signature, find in _FORMATS.items() if data.startswith(signature))
    try:
        return next(known, _unknown)(data)
    except (ValueError, struct.error):  # cut short
        return None


def _unknown(_data: bytes) -> None:
    return None


def _jpeg(data: bytes) -> PlainFile | None:
    if not (size := plain_size(data)):
        return None
    height, width = size
    return PlainFile(width, height, lambda: by_simplejpeg(data))


def _png(data: bytes) -> PlainFile | None:
    first, width, height, bits, colours = struct.unpack_from(">8s2I2B", data, 8)
    known = first == b"\0\0\0\x0dIHDR" and bits == 8 and colours in _PNG_COLOURS
    if not known or _is_damaged(data[12:29], data[29:33]):
        return None
    place = 33
    for _ in range(_MOST_PNG_PARTS):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if name == b"IEND":
            return _for_opencv(data, width, height)
        if name not in _PNG_PARTS or (name != b"IDAT" and _is_damaged(data[place + 4 : end], data[end : end + 4])):
            return None
        place = end + 4
    return None


def _is_damaged(part: bytes, check: bytes) -> bool:
    return zlib.crc32(part) != int.from_bytes(check, "big")


def _webp(data: bytes) -> PlainFile | None:
    """Of one part: what has a profile, transparency, EXIF or frames has several."""
    size, format_, kind, length = struct.unpack_from("<I4s4sI", data, 4)
    if format_ != b"WEBP" or len(data) < 8 + size or size != 12 + length + length % 2:
        return None
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<2H", data, 26)  # and two bits each of how it might be shown larger
        return _for_opencv(data, width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and data[20:21] == b"\x2f":
        (bits,) = struct.unpack_from("<I", data, 21)
        transparent = bits >> 28 & 1
        return None if transparent else _for_opencv(data, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    return None


def _bmp(data: bytes) -> PlainFile | None:
    start, head, width, height, planes, bits, packed = struct.unpack_from("<2I2i2HI", data, 10)
    row = (3 * width + 3) // 4 * 4
    known = head in _BMP_HEADS and (planes, bits, packed) == (1, 24, 0) and width > 0 and start >= 14 + head
    if not known or len(data) < start + row * abs(height):
        return None
    return _for_opencv(data, width, abs(height))


def _ppm(data: bytes) -> PlainFile | None:
    if not (found := _PPM.match(data)):
        return None
    width, height, start = int(found[1]), int(found[2]), found.end()
    if len(data) < start + height * width * 3:
        return None
    pixels = np.frombuffer(data, np.uint8, height * width * 3, start).reshape(height, width, 3)
    return PlainFile(width, height, pixels.copy)


def _for_opencv(data: bytes, width: int, height: int) -> PlainFile | None:
    return PlainFile(width, height, lambda: by_opencv(data)) if width and height else None


def by_opencv(data: bytes) -> Pixels | None:
    """(H, W, 3) RGB as it is stored, in colour or grey; None where OpenCV cannot."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None else np.asarray(pixels, np.uint8)


_FORMATS: dict[bytes, Callable[[bytes], PlainFile | None]] = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"RIFF": _webp,
    b"BM": _bmp,
    b"P6": _ppm,
}
