"""A small file system, which a test can fill and clear again, and servers with their data on it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.support.server import REPOSITORY, SERVE, Server

UNSHARE = ("unshare", "--map-root-user", "--mount")
KEEPING_USERS = ("unshare", *(("--map-current-user", "--keep-caps") if os.geteuid() else ()), "--mount")
MOUNT = 'mount -t tmpfs -o size=$1k none "$0" && echo mounted && exec sleep infinity'
ENTER = 'cd "$0" && exec "$@"'
KIB = 2**10


class Disk:
    """A disk mounted in a new name space, so that no root is needed; a process holds it until the block ends."""

    def __init__(self, folder: Path, kib: int, unshare: Sequence[str] = UNSHARE) -> None:
        """KEEPING_USERS is for programs that refuse to run as root."""
        require_mounts(folder, unshare)
        self.on, self._kib, self._unshare = folder, kib, unshare

    def __enter__(self) -> Self:
        command = [*self._unshare, "sh", "-c", MOUNT, str(self.on), str(self._kib)]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "mounted\n":
            self.__exit__()
            pytest.fail("the small disk could not be mounted")
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.communicate()

    @property
    def enter(self) -> tuple[str, ...]:
        """The words before a command that let it see the disk."""
        has_users = any(word.startswith("--map-") for word in self._unshare)
        into = ("nsenter", "--target", str(self._holder.pid), "--mount")
        return (*into, *(("--user", "--preserve-credentials") if has_users else ()), "sh", "-c", ENTER, str(REPOSITORY))

    @property
    def seen_from_outside(self) -> Path:
        return Path(f"/proc/{self._holder.pid}/root{self.on}")

    @property
    def filler(self) -> Path:
        return self.seen_from_outside / "filler"

    def fill(self, *, leave_kib: int = 0) -> None:
        """Fill it until no more byte fits; then give `leave_kib` back."""
        with self.filler.open("ab", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(b"\0" * 4 * KIB):
                    pass
            os.truncate(filler.fileno(), max(filler.tell() - leave_kib * KIB, 0))

    def clear(self) -> None:
        self.filler.unlink()


class ServerOn(Server):
    """A server whose data directory lies on `disk`."""

    def __init__(self, disk: Disk, **settings: str) -> None:
        super().__init__(disk.on / "data", command=[*disk.enter, *SERVE], **settings)
        self.log = disk.on.with_name(f"{disk.on.name}-{self.port}.log")


def require_mounts(folder: Path, unshare: Sequence[str]) -> None:
    folder.mkdir(exist_ok=True)
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("no unshare(1) and nsenter(1) here: a disk cannot be made small")
    tried = subprocess.run(
        [*unshare, "mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"this machine lets nobody mount a small disk: {tried.stderr.strip()}")
