"""
One SQLite file: a commit is on disk before it is acknowledged, and a deleted row is overwritten in the file.

`secure_delete` overwrites deleted rows, and after a delete the write-ahead log is emptied, so that no old page keeps
them. A reader in another process (a backup, `gallery check`) may still need those pages: then the deletion is written
to the table `pending_erasures`, and `settle_erasures` tries again. The data keys of what was deleted (key_file.py) are
destroyed after that, since the same readers need them. SQLite may leave copies of rows in unused bytes of its pages
(rewriting.py): a deletion marks the file, and `settle_erasures` writes it anew. Only this package imports sqlite3.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.domain.errors import ServiceError
from app.storage.cipher import Cipher
from app.storage.connection import Connection
from app.storage.database import has_slot
from app.storage.key_file import KeyFile, key_path, remove_leftovers
from app.storage.reserve import Reserve
from app.storage.rewriting import Rewriting
from app.storage.sqlite_file import connect, domain_errors
from app.storage.sqlite_transactions import SqliteTransactions

log = logging.getLogger(__name__)

_MARK_ERASURE = (
    "INSERT INTO metadata (name, value) VALUES ('last_erasure', randomblob(8)) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
"""Another value each time, so that an erasure during a rewrite is not forgotten with it."""
_PATIENCE = 0.5
"""Seconds that a deletion waits for readers. Other writers wait with it, so that they must be few."""


class Database(SqliteTransactions):
    """The transactions of a SQLite file and its data keys, and what erasures need after they are committed."""

    def __init__(
        self, path: Path, cipher: Cipher | None = None, *, keys: Path | None = None, busy_timeout: float = 10.0
    ) -> None:
        """
        Wait up to `busy_timeout` seconds for another process that writes. Raises ServiceError if it cannot open.

        The data keys are in the file `keys`, by default beside the database.

        An encrypted gallery can only be written to with the cipher of its key, because each change is signed.
        """
        super().__init__(path, cipher, busy_timeout)
        self._reserve, self._rewriting, self._unrecorded = Reserve(path), Rewriting(path), 0
        self.keys = KeyFile(keys or key_path(path))

    def close(self) -> None:
        self.keys.close()
        super().close()

    @contextmanager
    def deleting(self, released: Collection[int] = ()) -> Iterator[Connection]:
        """
        A writing transaction, after which the deleted rows are overwritten in every file.

        Then the keys in the slots `released`, a collection that the transaction may fill, are destroyed. While a reader
        needs old pages, `pending_erasures` counts the deletion. A full disk does not prevent it.
        """
        self._reserve.release_if_disk_is_full()
        try:
            with self.replacing(released) as db:
                yield db
        finally:
            self._reserve.make()

    @contextmanager
    def replacing(self, released: Collection[int] = ()) -> Iterator[Connection]:
        """A writing transaction as `deleting`, but a full disk prevents it."""
        with self.writing() as db:
            yield db
            db.execute(_MARK_ERASURE)
        if self.pending_erasures():  # whose keys are found by looking at all slots
            done = self._settle(_PATIENCE)
        else:
            done = self._empty_log(_PATIENCE) and self._destroy_keys(released)
        if not done:
            self._record_pending()

    def pending_erasures(self) -> int:
        """Return the number of deletions whose rows may still be read in the write-ahead log."""
        with self.reading() as db:
            return int(db.execute("SELECT count(*) FROM pending_erasures").fetchone()[0]) + self._unrecorded

    def settle_erasures(self) -> int:
        """
        Empty the write-ahead log if deletions are pending and no reader needs it; return how many remain.

        If none remains, also write the file anew where it may have copies of what was erased (rewriting.py).
        """
        if self.pending_erasures():
            self._settle(0)
        if self._last_erasure() and not self.pending_erasures() and self._rewriting.is_allowed():
            self._rewrite()
        self._reserve.make()
        return self.pending_erasures()

    def settle_after_crash(self) -> None:
        """Finish what an earlier process may have left: deleted rows in the write-ahead log, and their keys."""
        if not self._settle(_PATIENCE) and not self._last_pending():
            self._record_pending()
        if self.keys.exists():
            with self.writing():
                remove_leftovers(self.keys.path)

    def _settle(self, patience: float) -> bool:
        """Return whether the write-ahead log and the keys of all that was deleted are gone now."""
        if self.keys.exists() and not self._empty_log(patience):  # looking for keys takes longer
            return False
        settled, orphans = self._last_pending(), self._orphaned_keys()
        done = self._empty_log(patience) and self._destroy_keys(orphans)
        if done:
            self._forget_pending(settled)
        return done

    def _orphaned_keys(self) -> list[int]:
        """Return the slots that no row refers to; some are of transactions that are not committed yet."""
        if not self.keys.exists():
            return []
        with self.reading() as db:
            used = {row[0] for row in db.execute("SELECT key_slot FROM subjects WHERE key_slot IS NOT NULL")}
            return [slot for slot, _ in self.keys.records() if slot not in used]

    def _destroy_keys(self, slots: Collection[int]) -> bool:
        """
        Overwrite the keys in those of the slots that no row refers to; return whether that was possible.

        The write lock keeps others from taking a slot meanwhile.
        """
        if not slots:
            return True
        try:
            with self.writing() as db:
                self.keys.clear([slot for slot in slots if not has_slot(db, slot)])
        except (OSError, ServiceError) as error:
            log.warning("the keys of a deletion could not be destroyed yet: %s", error)
            return False
        return True

    def vacuum(self) -> None:
        """Write the file anew, without the pages that deleted rows left empty, and without copies of such rows."""
        self._require_file()
        erasure = self._last_erasure()
        with domain_errors(self.path), closing(connect(self.path, self._busy_timeout)) as db:
            db.execute("VACUUM")
        if not self._empty_log(_PATIENCE):
            self._record_pending()
        if erasure:
            with self.writing() as db:
                db.execute("DELETE FROM metadata WHERE name = 'last_erasure' AND value = ?", (erasure,))

    def _rewrite(self) -> None:
        try:
            with self._rewriting.measured():
                self.vacuum()
        except ServiceError as error:
            log.warning("the file could not be written anew after an erasure: %s", error)

    def _last_erasure(self) -> bytes | None:
        """Return the mark of the last erasure since which the file was not written anew."""
        with self.reading() as db:
            row = db.execute("SELECT value FROM metadata WHERE name = 'last_erasure'").fetchone()
            return row["value"] if row else None

    @contextmanager
    def keeping_keys(self) -> Iterator[None]:
        """Read the database, so that no process destroys a key that a copy made meanwhile needs."""
        with domain_errors(self.path), closing(connect(self.path, _PATIENCE)) as db:
            db.execute("BEGIN")
            db.execute("SELECT 1 FROM sqlite_master").fetchone()
            yield

    def copy_into(self, path: Path) -> None:
        """Write the database as it is now to another file, empty or new, while others read and write this one."""
        with domain_errors(path), closing(connect(self.path, _PATIENCE)) as db:
            db.execute("VACUUM INTO ?", (str(path),))

    def _empty_log(self, patience: float) -> bool:
        """
        Return whether the write-ahead log is empty now; nobody but its last reader can prevent it.

        Uses a connection of its own, so that requests need not wait for the lock. The pragma does not fail if a reader
        prevents it: it says so in the first column of its row.
        """
        self._require_file()
        try:
            with closing(connect(self.path, patience)) as db:
                return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:  # what was deleted is committed all the same
            log.warning("the write-ahead log could not be emptied after a deletion: %s", error)
            return False

    def _last_pending(self) -> int:
        with self.reading() as db:
            return int(db.execute("SELECT coalesce(max(number), 0) FROM pending_erasures").fetchone()[0])

    def _record_pending(self) -> None:
        try:
            with self.writing() as db:
                db.execute("INSERT INTO pending_erasures DEFAULT VALUES")
        except ServiceError as error:  # on a full disk it cannot be written; this process remembers it
            log.warning("a pending erasure could not be recorded: %s", error)
            self._unrecorded += 1

    def _forget_pending(self, last: int) -> None:
        """Forget the deletions up to the number `last`, which was read before the log was emptied."""
        self._unrecorded = 0
        if last:
            with self.writing() as db:
                db.execute("DELETE FROM pending_erasures WHERE number <= ?", (last,))
