"""What the parts of a JPEG say before a pixel is decoded: how often a decoder goes over it, and whether it is plain."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_PARTS = 100_000
"""Of a file, gone through one by one in Python; 10 MiB could hold millions."""
MOST_SCANS = 100
"""Each goes over the whole photo, and takes a few bytes where it says nothing; encoders make about ten."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not what stands for 255 in a scan, nor restarts
_ALONE, _SEQUENTIAL, _SCAN, _END, _APP1 = (0x01, 0xD8), (0xC0, 0xC1), 0xDA, 0xD9, 0xE1
_START, _SCAN_MARK = b"\xff\xd8", b"\xff\xda"


def begins_plainly(data: bytes) -> bool:
    """Whether it is a JPEG without EXIF or XMP, which may tell its orientation, before the first scan."""
    if not data.startswith(_START):
        return False
    kinds = (kind for kind, _ in _parts(data))
    return next((kind == _SCAN for kind in kinds if kind in (_SCAN, _APP1)), False)


def check_scans(data: bytes) -> None:
    """
    Raises ValueError for more scans, or parts, than any encoder makes.

    Of the first picture: what is behind it, as the film of a phone's photo, is no JPEG. Where its first scan has all
    colours and no scan adds to another there is only that one: libjpeg takes a second for an error. Else its mark
    is counted wherever it stands, and only where that is too often each part is looked at.
    """
    scans, colours = 0, 0
    for number, (kind, place) in enumerate(_parts(data), start=1):
        if kind == _END or (kind == _SCAN and data[place + 2 : place + 3] == bytes([colours])):
            return
        if kind in _SEQUENTIAL:
            colours = (data[place + 7 : place + 8] or b"\0")[0]
        if kind == _SCAN and scans == 0 and data.count(_SCAN_MARK) <= MOST_SCANS:
            return
        scans += kind == _SCAN
        if scans > MOST_SCANS or number > MOST_PARTS:
            raise ValueError(f"more than {MOST_SCANS} scans, or {MOST_PARTS} parts")


def _parts(data: bytes) -> Iterator[tuple[int, int]]:
    """The kind of each, and where its content begins."""
    place = 0
    while found := _MARKER.search(data, place):
        kind, place = data[found.start() + 1], found.end()
        yield kind, place
        if kind not in _ALONE:
            place += int.from_bytes(data[place : place + 2], "big")
