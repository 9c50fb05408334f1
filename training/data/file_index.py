"""The digests of files that were examined before: a file is read again only if its size or time has changed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from training.data.packed_files import ImageFile

State: TypeAlias = tuple[int, int]  # size in bytes, time of the last change in ns
_SETTLED = 2_000_000_000  # ns; a file changed later than that could change again within one tick of its clock


class Examined(NamedTuple):
    """The SHA-256 of a crop's file, and its width in px."""

    digest: str
    side: int


@dataclass(slots=True)
class FileIndex:
    """Lines `digest side size mtime_ns path` in `path`; None is an index that remembers nothing."""

    path: Path | None = None
    known: dict[str, tuple[State, Examined]] = field(default_factory=dict)
    current: dict[str, tuple[State, Examined]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None) -> FileIndex:
        """Read the index, if there is one; lines that are not understood are left out."""
        index = cls(path)
        if path is None or not path.exists():
            return index
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                digest, *numbers, file = (line.rstrip("\n").split(" ", 4) + [""] * 4)[:5]
                if all(number.isdecimal() for number in numbers):
                    side, size, changed = map(int, numbers)
                    index.known[file] = ((size, changed), Examined(digest, side))
        return index

    def find(self, file: ImageFile, state: State) -> Examined | None:
        """Return what is known of a file that is as it was."""
        name = str(file.absolute())
        before, examined = self.known.get(name, (None, None))
        if examined is None or before != state:
            return None
        self.current[name] = (state, examined)
        return examined

    def add(self, file: ImageFile, state: State, examined: Examined) -> None:
        if time.time_ns() - state[1] > _SETTLED:
            self.current[str(file.absolute())] = (state, examined)

    def write(self) -> None:
        """Write the files seen since `open`, atomically, unless nothing has changed."""
        if self.path is None or self.current == self.known:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8", errors="surrogateescape") as lines:
            lines.writelines(
                f"{digest} {side} {size} {changed} {file}\n"
                for file, ((size, changed), (digest, side)) in self.current.items()
                if "\n" not in file
            )
        partial.replace(self.path)


def state_of(file: ImageFile) -> State:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
