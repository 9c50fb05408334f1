"""
The data keys of subjects, each encrypted, in a file of fixed-size slots beside the database.

They are not in the database, because SQLite copies rows: into its write-ahead log, into pages that it frees later, and
into backups. A slot has one place, where it is overwritten with zeros and synced. Several processes may share the file:
whoever writes to it holds the write lock of the database. `replace` puts a new file in place of the old one, so each
read looks afterwards whether the file that it read is still in place.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.domain.errors import ServiceError, StartError, StorageFull, StorageUnavailable
from app.storage.cipher import KEY_BYTES, OVERHEAD

RECORD_BYTES = KEY_BYTES + OVERHEAD
SLOT_BYTES = 128
"""Sectors are multiples of it, so that a slot is never in two of them."""
_MAGIC, _ID_BYTES = b"likeness-keys-1\n", 16
_NEW, _OLD = ".new", ".old"


def key_path(database: Path) -> Path:
    """Return where the keys of the database at the path are."""
    return database.with_name(f"{database.name}-keys")


class KeyFile:
    """Thread-safe. A slot that was never written, or was cleared, is empty: its record is `b""`."""

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.Lock()
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._free: list[int] | None = None  # empty slots as this process knows them; another may have filled one

    def close(self) -> None:
        with self._lock:
            self._close()

    def exists(self) -> bool:
        return self.path.exists()

    def create(self) -> None:
        """Make an empty file with an id of its own."""
        _write_whole(self.path, _MAGIC + os.urandom(_ID_BYTES), [])

    def file_id(self) -> bytes:
        """Return the id that the file got when it was made. Raises StartError if it is not a file of keys."""
        header = self._read(0)
        if not header.startswith(_MAGIC):
            raise StartError(f"{self.path} is not a file of keys")
        return header[len(_MAGIC) : len(_MAGIC) + _ID_BYTES]

    def read(self, slot: int) -> bytes:
        record = self._read(1 + slot)[:RECORD_BYTES]
        return record if any(record) else b""

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield each slot that is not empty, with its record."""
        for slot, record in enumerate(self._slots()):
            if any(record):
                yield slot, record

    def add(self, record: bytes, is_taken: Callable[[int], bool]) -> int:
        """
        Write the record into an empty slot and return the slot; `sync` makes it durable.

        `is_taken` says whether the database knows a slot, which is empty all the same if the file is older than it.
        """
        slot = self._empty_slot(is_taken)
        self._write(slot, record)
        return slot

    def clear(self, slots: Iterable[int]) -> None:
        """Overwrite the slots; their records are gone from the disk when this returns."""
        cleared = list(slots)
        for slot in cleared:
            self._write(slot, b"")
        if cleared:
            self.sync()
        if self._free is not None:
            self._free.extend(cleared)

    def discard(self, slots: Iterable[int]) -> None:
        """Clear the slots of a transaction that fails; keys of nobody are found and removed at the next start too."""
        with suppress(OSError, ServiceError):
            self.clear(slots)

    def sync(self) -> None:
        with self._lock, _full_disk():
            os.fdatasync(self._in_place())

    def replace(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Put a file with the same id and these records in place of this one, and overwrite the old one."""
        _write_whole(self.path, _MAGIC + self.file_id(), records)

    def copy_into(self, path: Path, slots: Iterable[int]) -> None:
        """Write a file with the same id and only these slots, in place of any file that was at the path."""
        wanted = ((slot, self.read(slot)) for slot in slots)
        _write_whole(path, _MAGIC + self.file_id(), wanted)

    def _empty_slot(self, is_taken: Callable[[int], bool]) -> int:
        if self._free is None:
            self._free = [slot for slot, record in enumerate(self._slots()) if not any(record)]
        while self._free:
            slot = self._free.pop()
            if not self.read(slot) and not is_taken(slot):
                return slot
        with self._lock:
            slot = os.fstat(self._in_place()).st_size // SLOT_BYTES - 1
        while is_taken(slot):
            slot += 1
        return slot

    def _slots(self) -> list[bytes]:
        data = self._read(0, self.path.stat().st_size)
        return [data[at : at + RECORD_BYTES] for at in range(SLOT_BYTES, len(data), SLOT_BYTES)]

    def _read(self, place: int, length: int = SLOT_BYTES) -> bytes:
        with self._lock:
            while True:
                data = os.pread(self._opened(), length, place * SLOT_BYTES)
                if self._is_in_place():
                    return data
                self._close()  # another process has replaced it, and overwritten it perhaps before it was read

    def _write(self, slot: int, record: bytes) -> None:
        with self._lock, _full_disk():
            os.pwrite(self._in_place(), record.ljust(SLOT_BYTES, b"\0"), (1 + slot) * SLOT_BYTES)

    def _in_place(self) -> int:
        """Return the open file that is at the path now. The write lock keeps others from replacing it."""
        if not self._is_in_place():
            self._close()
        return self._opened()

    def _opened(self) -> int:
        """Raises StorageUnavailable if there is no file."""
        if self._file is None:
            try:
                self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise self._missing() from error
            self._identity = _identity(os.fstat(self._file))
        return self._file

    def _is_in_place(self) -> bool:
        try:
            return _identity(os.stat(self.path)) == self._identity  # noqa: PTH116 (each read does this)
        except FileNotFoundError as error:
            raise self._missing() from error

    def _missing(self) -> StorageUnavailable:
        return StorageUnavailable(f"{self.path.name} is missing: restore it from a backup")

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextmanager
def _full_disk() -> Iterator[None]:
    """Raises StorageFull if there is no space left."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("no space is left for the keys of the gallery") from error
        raise


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _write_whole(path: Path, header: bytes, records: Iterable[tuple[int, bytes]]) -> None:
    """
    Write a file in place of the one at the path, if there is one, and overwrite that.

    A crash leaves the old file or the new one at the path, and another beside it that `remove_leftovers` finds.
    """
    new, old = path.with_name(f"{path.name}{_NEW}"), path.with_name(f"{path.name}{_OLD}")
    remove_leftovers(path)
    new.touch(mode=0o600)
    with _full_disk(), new.open("wb") as file:
        file.write(header.ljust(SLOT_BYTES, b"\0"))
        for slot, record in records:
            file.seek((1 + slot) * SLOT_BYTES)
            file.write(record.ljust(SLOT_BYTES, b"\0"))
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        os.link(path, old)
    new.replace(path)
    _sync_folder(path.parent)
    remove_leftovers(path)


def remove_leftovers(path: Path) -> None:
    """Overwrite and remove the files that `replace` makes beside the one at the path."""
    for ending in (_NEW, _OLD):
        leftover = path.with_name(f"{path.name}{ending}")
        if not leftover.exists():
            continue
        if not path.exists() or not leftover.samefile(path):  # a crash may come between the link and the rename
            with leftover.open("r+b") as file:
                for _ in range(0, leftover.stat().st_size, SLOT_BYTES):
                    file.write(bytes(SLOT_BYTES))
                file.flush()
                os.fsync(file.fileno())
        leftover.unlink()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)
