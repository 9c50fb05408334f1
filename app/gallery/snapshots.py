"""
Copies of large indexes beside the database, so that a start need not read every row. The rows remain the truth.

An erased face must not be in a file once the erasure is answered. So whoever erases destroys all snapshots after its
commit: it overwrites their keys and removes them. A snapshot that is being written at that moment is removed by its
name, which its writer notices, and the eraser waits for the lock until the writer has destroyed it. A writer takes the
lock, makes its file and only then asks whether something was erased since its index was up to date: so it either sees
the erasure, or is seen by it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.gallery import index_file
from app.gallery.index_file import IndexInfo, InvalidIndexFile, Reader
from app.gallery.segment import CodedFaces
from app.storage import sqlite
from app.storage.cipher import Cipher
from app.storage.database import Database

log = logging.getLogger(__name__)


class _Abandoned(Exception):
    """Something was erased while a snapshot was written."""


class IndexSnapshots:
    """The snapshots beside one database file. Thread-safe; several processes may share the file."""

    def __init__(self, database: Path | None, cipher: Cipher) -> None:
        """Without a database file, nothing is written, read or destroyed."""
        self._enabled, path = database is not None, database or Path("none")
        self._prefix, self._folder, self._cipher = f"{path.name}-index-", path.parent, cipher
        self._lock = path.with_name(f"{self._prefix}lock")

    @contextmanager
    def opened(self, gallery_number: int) -> Iterator[Reader | None]:
        """
        Open the snapshot of a gallery, if there is one that can be read.

        One that turns out to be damaged is destroyed, and the error passes on as InvalidIndexFile.
        """
        try:
            file = self._path(gallery_number).open("rb") if self._enabled else None
        except FileNotFoundError:
            file = None
        if file is None:
            yield None
            return
        with file:
            try:
                yield Reader(file, self._cipher, gallery_number)
            except (ValueError, KeyError, TypeError, OSError) as error:
                log.warning("the snapshot of an index is not used: %s", error)
                with self._locked(wait=True):
                    self._shred([self._path(gallery_number)])
                raise InvalidIndexFile(str(error)) from error

    def info(self, gallery_number: int) -> IndexInfo | None:
        with suppress(InvalidIndexFile), self.opened(gallery_number) as reader:
            return reader.info if reader else None
        return None

    def save(self, info: IndexInfo, contents: Iterable[CodedFaces], is_outdated: Callable[[], bool]) -> bool:
        """Write a snapshot unless `is_outdated`, or another process writes one; return whether it was written."""
        if not self._enabled:
            return False
        path = self._path(info.gallery.number)
        new = path.with_name(f"{path.name}.new")
        with self._locked(wait=False) as is_locked:
            if not is_locked:
                return False
            self._shred([new])  # what a crash left behind
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

            def raise_if_abandoned() -> None:
                if not new.exists():
                    raise _Abandoned

            try:
                with os.fdopen(descriptor, "wb", closefd=False) as file:
                    if is_outdated():
                        raise _Abandoned
                    index_file.write(file, self._cipher, info, contents, raise_if_abandoned)
                os.fsync(descriptor)
                self._shred([path])
                new.rename(path)
            except BaseException as error:
                os.pwrite(descriptor, bytes(index_file.HEADER_BYTES), 0)
                os.fsync(descriptor)
                new.unlink(missing_ok=True)
                if isinstance(error, _Abandoned | FileNotFoundError):  # the latter from renaming it
                    return False
                raise
            finally:
                os.close(descriptor)
        return True

    def destroy(self, keep: Collection[int] = ()) -> None:
        """Destroy all snapshots, except those of some galleries; wait until nobody writes one."""
        kept = {self._path(number) for number in keep}
        if not (paths := [path for path in self._paths() if path not in kept]):
            return
        for path in paths:
            if path.suffix == ".new":
                path.unlink(missing_ok=True)
        with self._locked(wait=True):
            self._shred(path for path in self._paths() if path not in kept)

    def _path(self, gallery_number: int) -> Path:
        return self._folder / f"{self._prefix}{gallery_number}"

    def _paths(self) -> list[Path]:
        return [path for path in self._folder.glob(f"{self._prefix}*") if path != self._lock] if self._enabled else []

    def _shred(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                index_file.overwrite_header(path)
                path.unlink()

    @contextmanager
    def _locked(self, *, wait: bool) -> Iterator[bool]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)


def snapshots_of(database: Database, cipher: Cipher) -> IndexSnapshots:
    """Return those of a database file; other clients of a server could not destroy them, so it has none."""
    if isinstance(database, sqlite.Database):
        return IndexSnapshots(database.path, cipher)
    return IndexSnapshots(None, cipher)
