"""
When a SQLite file is written anew after erasures, and why it has to be.

SQLite joins pages that have become two thirds empty (`balance_nonroot` in its btree.c). `rebuildPage` then packs the
rows at the end of the page, and leaves the bytes between the row pointers and the rows as they were, whatever
`secure_delete` says: copies of rows that may have moved to a neighbouring page. When such a row is erased, SQLite
overwrites the row and not the copy. Only VACUUM removes it, since it fills all pages from empty ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_BYTES = 64 * 2**20
"""A larger file is written anew by `likeness gallery rebuild` only: writers wait meanwhile, and it needs memory."""
_PAUSE = 100
"""How many times as long as the last rewrite took, so that it takes at most one per cent of the time."""
_ROOM = 3
"""The file is written to the write-ahead log before it is written to its place, while others go on writing."""


class Rewriting:
    def __init__(self, database: Path) -> None:
        self._database, self._not_before = database, 0.0

    def is_allowed(self) -> bool:
        """Return whether the file may be written anew now: it is small, has room on the disk, and was not just now."""
        size = self._database.stat().st_size
        disk = os.statvfs(self._database.parent)
        has_room = disk.f_bavail * disk.f_frsize > _ROOM * size
        return size <= MAX_BYTES and has_room and time.monotonic() >= self._not_before

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Allow the next rewrite after a pause in proportion to this one, which may fail."""
        begin = time.monotonic()
        try:
            yield
        finally:
            end = time.monotonic()
            self._not_before = end + _PAUSE * (end - begin)
