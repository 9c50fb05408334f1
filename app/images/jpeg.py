"""
JPEG, by simplejpeg (libjpeg-turbo); and what its parts say before a pixel is decoded: how often a decoder goes over it,
and whether it is plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
import simplejpeg

from app.domain.models import Pixels

MOST_PARTS = 100_000
"""Of a file, gone through one by one in Python; 10 MiB could hold millions."""
MOST_SCANS = 100
"""Each goes over the whole photo, and takes a few bytes where it says nothing; encoders make about ten."""
_FEW_PARTS = 100
"""Before the first scan; encoders make about ten, and one for each 64 kB of a colour profile."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not what stands for 255 in a scan, nor restarts
_ALONE, _SEQUENTIAL, _SCAN, _END, _APP1 = (0x01, 0xD8), (0xC0, 0xC1), 0xDA, 0xD9, 0xE1
_START, _PAIR, _SCAN_PAIR = b"\xff\xd8", "<u2", 0xDAFF  # two bytes as one number
_PLAIN_COLOURS = ("YCbCr", "RGB", "Gray")  # as simplejpeg names them


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG in colour or grey whose head says nothing else. Raises ValueError."""
    if not _begins_plainly(data):
        return None
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    return (height, width) if colours in _PLAIN_COLOURS else None


def by_simplejpeg(data: bytes) -> Pixels:
    """(H, W, 3) RGB as it is stored. Raises ValueError, also where libjpeg only has a remark."""
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), np.uint8)


def check_scans(data: bytes) -> None:
    """
    Raises ValueError for more scans, or parts, than any encoder makes.

    Of the first picture: what is behind it, as the film of a phone's photo, is no JPEG. Where its first scan has all
    colours and no scan adds to another there is only that one: libjpeg takes a second for an error. Else its mark
    is counted wherever it stands, and only where that is too often each part is looked at.
    """
    scans, colours = 0, 0
    for number, (kind, place) in enumerate(_parts(data), start=1):
        if kind == _END or (kind == _SCAN and _is_whole(data, place, colours)):
            return
        if kind in _SEQUENTIAL:
            colours = _colours(data, place)
        if kind == _SCAN and scans == 0 and _scan_marks(data) <= MOST_SCANS:
            return
        scans += kind == _SCAN
        if scans > MOST_SCANS or number > MOST_PARTS:
            raise ValueError(f"more than {MOST_SCANS} scans, or {MOST_PARTS} parts")


def _begins_plainly(data: bytes) -> bool:
    """Whether it is a JPEG of few scans without EXIF or XMP, which may tell its orientation, before the first."""
    if not data.startswith(_START):
        return False
    colours = 0
    for kind, place in islice(_parts(data), _FEW_PARTS):
        if kind in _SEQUENTIAL:
            colours = _colours(data, place)
        if kind == _SCAN:
            return _is_whole(data, place, colours) or _scan_marks(data) <= MOST_SCANS
        if kind == _APP1:
            return False
    return False


def _scan_marks(data: bytes) -> int:
    """How often the mark stands anywhere; by NumPy in a tenth of the time of `bytes.count`."""
    return sum(
        int(np.count_nonzero(np.frombuffer(data, _PAIR, (len(data) - start) // 2, start) == _SCAN_PAIR))
        for start in (0, 1)
    )


def _colours(data: bytes, frame: int) -> int:
    return int.from_bytes(data[frame + 7 : frame + 8], "big")


def _is_whole(data: bytes, scan: int, colours: int) -> bool:
    """Whether that scan has all of them; of a progressive JPEG none are known, and no scan is."""
    return data[scan + 2 : scan + 3] == bytes([colours])


def _parts(data: bytes) -> Iterator[tuple[int, int]]:
    """The kind of each, and where its content begins."""
    place = 0
    while found := _MARKER.search(data, place):
        kind, place = data[found.start() + 1], found.end()
        yield kind, place
        if kind not in _ALONE:
            place += int.from_bytes(data[place : place + 2], "big")
