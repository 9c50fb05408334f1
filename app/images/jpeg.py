"""JPEG: decoding and encoding by simplejpeg (libjpeg-turbo), and a limit on what a decoder has to go through."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg

from app.domain.arrays import Pixels

MAX_SCANS = 100
"""Each scan goes over the whole photo, and may be a few bytes in the file; encoders make about ten."""
MAX_SEGMENTS = 100_000
"""Segments are counted one by one in Python; 10 MiB can hold millions."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # without the escaped 255 and the restart markers within a scan
_WITHOUT_CONTENT, _SCAN, _END = (0x01, 0xD8), 0xDA, 0xD9
_QUALITY = 90
END_OF_IMAGE = b"\xff\xd9"


def decode_by_simplejpeg(data: bytes) -> Pixels:
    """Return the pixels (H, W, 3) RGB as stored. Raises ValueError, even where libjpeg only warns."""
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), np.uint8)


def encode_jpeg(pixels: Pixels, quality: int = _QUALITY, subsampling: str = "444") -> bytes:
    """Return pixels (H, W, 3) RGB as a file; the default is a good quality."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", subsampling))


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return height and width without decoding the pixels. Raises ValueError."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return int(height), int(width)


def lacks_only_its_end(data: bytes, mode: str) -> bool:
    """Return whether the JPEG decodes without a warning once its end is marked; `mode` is Pillow's color mode."""
    if data.endswith(END_OF_IMAGE):
        return False
    try:
        simplejpeg.decode_jpeg(data + END_OF_IMAGE, "CMYK" if mode == "CMYK" else "RGB")
    except ValueError:
        return False
    return True


def check_scans(data: bytes, components: int | None) -> None:
    """
    Raise ValueError if the JPEG has more scans, or segments, than any encoder makes.

    `components` is their number in a sequential JPEG, None in a progressive one. A sequential JPEG whose first scan has
    all of them has no other scan: libjpeg takes a second one for an error. In any other, all scan markers of the file
    are counted, and only if those are too many the segments of the first picture: phones append films to it, in which
    any bytes may occur.
    """
    scans = 0
    for number, (kind, content) in enumerate(_segments(data), start=1):
        if kind == _SCAN and scans == 0 and (data[content + 2] == components or _scan_markers(data) <= MAX_SCANS):
            return
        if kind == _END:
            return
        scans += kind == _SCAN
        if scans > MAX_SCANS or number > MAX_SEGMENTS:
            raise ValueError(f"expected at most {MAX_SCANS} scans and {MAX_SEGMENTS} segments, got more")


def _scan_markers(data: bytes) -> int:
    """Count the marker anywhere in the file; NumPy takes a tenth of the time of `bytes.count`."""
    array = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero((array[:-1] == 0xFF) & (array[1:] == _SCAN)))


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the second byte of each marker, and where the content of the segment begins."""
    place = 0
    while found := _MARKER.search(data, place):
        kind, place = data[found.start() + 1], found.end()
        yield kind, place
        if kind not in _WITHOUT_CONTENT:
            place += int.from_bytes(data[place : place + 2], "big")
