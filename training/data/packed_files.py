"""
Images inside larger files, read one at a time by their position: members of tar shards and records of MXNet's .rec.

Both have `read_bytes()`, as a `Path` has.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

MAGIC = 0xCED7230A
_LENGTH_BITS = 29
_WHOLE, _LAST = 0, 3
_HEADER = struct.Struct("<II")  # magic, kind of part and length
_LABEL = struct.Struct("<IfQQ")  # number of labels behind the header, label, id, second id


class ImageFile(Protocol):
    """A file or a part of one that holds an encoded image; `stat` is of the whole file."""

    @property
    def name(self) -> str: ...
    def read_bytes(self) -> bytes: ...
    def absolute(self) -> ImageFile: ...
    def stat(self) -> os.stat_result: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes of the file at `path`, from `offset` on."""

    path: Path
    offset: int

    def __str__(self) -> str:
        return f"{self.path}@{self.offset}"

    @property
    def name(self) -> str:
        return f"{self.path.name}@{self.offset}"

    def absolute(self) -> Self:
        return replace(self, path=self.path.absolute())

    def stat(self) -> os.stat_result:
        return self.path.stat()


class TornRecord(OSError):
    """A .rec file ends in a record, or a record does not begin where the index says."""


@dataclass(frozen=True, slots=True)
class TarMember(_Part):
    """`length` bytes of an uncompressed tar file."""

    length: int

    def read_bytes(self) -> bytes:
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), self.length, self.offset)


@dataclass(frozen=True, slots=True)
class Record(_Part):
    """A record of a .rec file: labels and an image."""

    def read_bytes(self) -> bytes:
        """Return the image. Raises TornRecord."""
        with self.path.open("rb") as file:
            data = struct.pack("<I", MAGIC).join(_parts(file.fileno(), self.offset, self.path))
        count = _LABEL.unpack_from(data)[0] if len(data) >= _LABEL.size else 0
        return data[_LABEL.size + 4 * count :]

    def labels(self) -> tuple[float, ...]:
        """Read no more than the labels. Raises TornRecord."""
        with self.path.open("rb") as file:
            start = os.pread(file.fileno(), _HEADER.size + _LABEL.size, self.offset)
            if len(start) < _HEADER.size + _LABEL.size or _HEADER.unpack_from(start)[0] != MAGIC:
                raise TornRecord(f"expected a record at {self}")
            count, label, _, _ = _LABEL.unpack_from(start, _HEADER.size)
            data = os.pread(file.fileno(), 4 * count, self.offset + len(start))
        if len(data) < 4 * count:
            raise TornRecord(f"expected {count} labels in {self}")
        return struct.unpack(f"<{count}f", data) if count else (label,)


def _parts(file: int, offset: int, path: Path) -> Iterator[bytes]:
    """Yield the parts of a record; it is cut wherever the image happens to hold the magic number itself."""
    kind = None
    while kind not in (_WHOLE, _LAST):
        header = os.pread(file, _HEADER.size, offset)
        if len(header) < _HEADER.size or _HEADER.unpack(header)[0] != MAGIC:
            raise TornRecord(f"expected a record at byte {offset} of {path}")
        kind, length = divmod(_HEADER.unpack(header)[1], 1 << _LENGTH_BITS)
        data = os.pread(file, length, offset + _HEADER.size)
        if len(data) < length:
            raise TornRecord(f"expected {length} bytes in the record at byte {offset} of {path}, got {len(data)}")
        yield data
        offset += _HEADER.size + (length + 3) // 4 * 4
