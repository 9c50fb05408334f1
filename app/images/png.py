"""PNG: leave out what is damaged and does not matter to the photo."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice

MAX_CHUNKS = 10_000
"""Chunks are read one by one in Python, and 10 MiB can hold almost a million; encoders make about a thousand of it."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME = 12  # the bytes of a chunk beside its content: length, kind, checksum
_CHANGE_THE_PHOTO = (b"tRNS", b"eXIf")
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}


def without_side_chunks(data: bytes) -> bytes | None:
    """
    Return the PNG without its side chunks, except sound ones that change the photo; None if there are no others,
    or more chunks than encoders make.

    libpng leaves out a side chunk (text, profile, resolution) whose checksum is wrong, where Pillow refuses the file.
    """
    if not data.startswith(_SIGNATURE):
        return None
    chunks = list(islice(_chunks(data), MAX_CHUNKS + 1))
    if len(chunks) > MAX_CHUNKS:
        return None
    kept = [chunk for chunk in chunks if _is_critical(chunk) or _is_sound_and_changes_the_photo(chunk)]
    return _SIGNATURE + b"".join(kept) if len(kept) < len(chunks) else None


def is_safe_for_opencv(data: bytes) -> bool:
    """
    Return whether OpenCV may read the PNG: it is not animated, no chunk is longer than the file, and there are no more
    chunks than encoders make.

    OpenCV 5.0 allocates what a chunk claims before it reads it, up to 4 GB, and a damaged frame of an animation ends
    the process.
    """
    places = list(islice(_places(data), MAX_CHUNKS + 1))
    kinds = {data[start + 4 : start + 8] for start, _ in places}
    longest = max((end - start for start, end in places), default=0)
    return len(places) <= MAX_CHUNKS and longest <= len(data) and kinds.isdisjoint(_ANIMATION)


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield the chunks, of which the last one may be cut off."""
    return (data[start:end] for start, end in _places(data))


def _places(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start of each chunk, and the end that it claims."""
    start = len(_SIGNATURE)
    while start < len(data):
        end = start + _FRAME + int.from_bytes(data[start : start + 4], "big")
        yield start, end
        start = end


def _is_critical(chunk: bytes) -> bool:
    return not chunk[4:5].islower()


def _is_sound_and_changes_the_photo(chunk: bytes) -> bool:
    return chunk[4:8] in _CHANGE_THE_PHOTO and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
