"""A server whose data directory is a tiny file system of its own, which a test can fill up and clear again."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from tests.end_to_end.server import REPOSITORY, Server, environment

NAMESPACE = ("unshare", "--map-root-user", "--mount")
KIB = 2**10


class SmallDisk(Server):
    """Its file system is mounted in a name space of its own, so that no one needs to be root, and it ends with it."""

    def __init__(self, mounted_on: Path, kib: int, **settings: str) -> None:
        require_mounts(mounted_on)
        super().__init__(mounted_on / "data", **settings)
        self.log = mounted_on.with_suffix(".log")
        self._mount = f'mount -t tmpfs -o size={kib}k none "$0" && exec "$@"'
        self._on = mounted_on

    def launch(self) -> Self:
        serve = [sys.executable, "-m", "app", "serve"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*NAMESPACE, "sh", "-c", self._mount, str(self._on), *serve],
                cwd=REPOSITORY,
                env=environment(self.data_dir, **self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def disk(self) -> Path:
        """The file system as the server sees it, reached from outside."""
        return Path(f"/proc/{self.process.pid}/root{self._on}")

    def fill(self, *, leave_kib: int = 0) -> None:
        """Until no byte more fits; then give `leave_kib` back."""
        with (self.disk / "filler").open("ab", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(b"\0" * 4 * KIB):
                    pass
            os.truncate(filler.fileno(), max(filler.tell() - leave_kib * KIB, 0))

    def clear(self) -> None:
        (self.disk / "filler").unlink()


def require_mounts(mounted_on: Path) -> None:
    mounted_on.mkdir(exist_ok=True)
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here: a disk cannot be made small")
    tried = subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "none", str(mounted_on)], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"this machine lets nobody mount a small disk: {tried.stderr.strip()}")
