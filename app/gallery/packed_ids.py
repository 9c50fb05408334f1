"""Ids in one block of bytes: a million of them as Python strings would take 90 bytes each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Ends: TypeAlias = npt.NDArray[np.uint32]


class IdList(list[str]):
    """Ids that more are added to."""

    def texts(self, rows: int) -> list[str]:
        """Return the first ids."""
        return self[:rows]


class PackedIds:
    """A sequence of texts; `ends` (N,) says where in `data` each one ends."""

    def __init__(self, data: Bytes, ends: Ends) -> None:
        self.data, self.ends = data, ends

    @classmethod
    def of(cls, texts: Sequence[str]) -> PackedIds:
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(each) for each in encoded], dtype=np.uint32)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        start = int(self.ends[row - 1]) if row else 0
        return self.data[start : int(self.ends[row])].tobytes().decode()

    def texts(self, rows: int) -> list[str]:
        """Return the first ids."""
        data, ends = self.data.tobytes(), self.ends[:rows].tolist()
        return [data[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]

    def take(self, rows: Rows) -> PackedIds:
        lengths = np.diff(self.ends, prepend=np.uint32(0))[rows].astype(np.int64)
        ends = np.cumsum(lengths)
        shift = self.ends[rows].astype(np.int64) - ends  # from where a byte is now to where it was
        return PackedIds(self.data[np.arange(lengths.sum()) + np.repeat(shift, lengths)], ends.astype(np.uint32))

    def followed_by(self, other: PackedIds) -> PackedIds:
        last = self.ends[-1] if len(self) else np.uint32(0)
        return PackedIds(np.concatenate([self.data, other.data]), np.concatenate([self.ends, other.ends + last]))
