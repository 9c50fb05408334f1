"""The digests of files that were examined before: a file is read again only if its size or time has changed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

State: TypeAlias = tuple[int, int]  # size in bytes, time of the last change in ns
_SETTLED = 2_000_000_000  # ns; a file changed later than that could change again within one tick of its clock


@dataclass(slots=True)
class FileIndex:
    """Lines `digest size mtime_ns path` in `path`; None is an index that remembers nothing."""

    path: Path | None = None
    known: dict[str, tuple[State, str]] = field(default_factory=dict)
    current: dict[str, tuple[State, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None) -> FileIndex:
        """Read the index, if there is one; lines that are not understood are left out."""
        index = cls(path)
        if path is None or not path.exists():
            return index
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                digest, size, changed, file = (line.rstrip("\n").split(" ", 3) + [""] * 3)[:4]
                if size.isdecimal() and changed.isdecimal():
                    index.known[file] = ((int(size), int(changed)), digest)
        return index

    def find(self, file: Path, state: State) -> str | None:
        """Return the digest of a file that is as it was."""
        name = str(file.absolute())
        before, digest = self.known.get(name, (None, ""))
        if before != state:
            return None
        self.current[name] = (state, digest)
        return digest

    def add(self, file: Path, state: State, digest: str) -> None:
        if time.time_ns() - state[1] > _SETTLED:
            self.current[str(file.absolute())] = (state, digest)

    def write(self) -> None:
        """Write the files seen since `open`, atomically, unless nothing has changed."""
        if self.path is None or self.current == self.known:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8", errors="surrogateescape") as lines:
            lines.writelines(
                f"{digest} {size} {changed} {file}\n"
                for file, ((size, changed), digest) in self.current.items()
                if "\n" not in file
            )
        partial.replace(self.path)


def state_of(file: Path) -> State:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
