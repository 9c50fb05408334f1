"""A file that takes up room on the disk, and gives it up for a deletion: in SQLite a deletion has to write first."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 8 * 2**20
"""Twice the size that the write-ahead log has by default before SQLite empties it (1000 pages)."""
_SHARE_OF_DISK = 16


class Reserve:
    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}-reserve")

    def make(self) -> None:
        """Take the room, but on a nearly full disk at most half of what is free: the service has to start there too."""
        wanted, free = self._wanted_and_free()
        held = self.path.stat().st_size if self.path.exists() else 0
        size = min(wanted, held + free // 2)
        if size <= held:
            return
        try:
            file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, size)
            finally:
                os.close(file)
        except OSError as error:
            log.warning("no room could be reserved for deletions on a full disk: %s", error)
            self.release()

    def release_if_disk_is_full(self) -> None:
        wanted, free = self._wanted_and_free()
        if free < wanted:
            self.release()

    def release(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _wanted_and_free(self) -> tuple[int, int]:
        disk = os.statvfs(self.path.parent)
        wanted = min(MAX_BYTES, disk.f_blocks * disk.f_frsize // _SHARE_OF_DISK)
        return wanted, disk.f_bavail * disk.f_frsize
