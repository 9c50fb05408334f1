"""
The database as the galleries, the keys and the audit log need it. `sqlite.Database` and `postgresql.database.Database`
are the two that there are; both run the same statements, with `?` for a value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from app.domain.ports import VectorIndex

if TYPE_CHECKING:
    from app.storage.row_digests import RowDigests

NoteRow = Callable[..., None]
"""Gets each row that is added or removed: the change (1 or -1), table, gallery, types, and the bytes of each cell."""


class Row(Protocol):
    """A row of a result: values by name or place, and `dict(row)`."""

    def keys(self) -> list[str]: ...

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """
    The connection of the open transaction. `entries` wait for the commit, which writes them to the audit log.

    `rows` is None if the database is older than its digests, or its rows are not watched.
    """

    entries: list[dict[str, Any]]
    head_is_checked: bool
    rows: RowDigests | None

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor: ...

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Cursor: ...

    def forget_values(self, sql: str, /) -> None:
        """
        Drop the values of the last row that the statement was run with, which SQLite keeps for its next run.

        No row may suit the statement if all values are NULL: an insert into a column that may not be, or a condition.
        """
        ...

    def has_table(self, name: str) -> bool: ...

    def column_names(self, table: str) -> list[str]: ...

    def cell(self, name: str) -> str:
        """Return SQL for the bytes of a value of any type."""
        ...

    def install_watch(self, note: NoteRow) -> None:
        """Tell `note` of each row that is added or removed, at the latest when `collect_changes` is called."""
        ...

    def collect_changes(self) -> None: ...

    def last_audit_number(self) -> int:
        """Return the largest number that an entry ever had, as far as the database knows."""
        ...

    def schema_differences(self) -> list[str]:
        """Name each object of the schema that is missing, foreign, or not the one that the migrations make."""
        ...

    def integrity_problems(self) -> list[str]:
        """Return what the database's own check finds."""
        ...


class DataKeys(Protocol):
    """The data keys of subjects, each encrypted, in numbered slots. An empty slot has the record `b""`."""

    @property
    def path(self) -> Path | str:
        """Say where the keys are, for messages."""
        ...

    def exists(self) -> bool: ...

    def create(self) -> None: ...

    def file_id(self) -> bytes: ...

    def read(self, slot: int) -> bytes: ...

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield each slot that is not empty, with its record."""
        ...

    def add(self, record: bytes, is_taken: Callable[[int], bool]) -> int:
        """Write the record into an empty slot and return the slot; `sync` makes it durable."""
        ...

    def sync(self) -> None: ...

    def discard(self, slots: Iterable[int]) -> None:
        """Remove what `add` wrote in a transaction that fails."""
        ...

    def replace(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Put these records in place of all that there are."""
        ...


class AttemptTable(Protocol):
    """At most so many attempts in any window of time, for each caller and subject, for all processes together."""

    def admit(self, caller: str, gallery_id: str, subject_id: str) -> float | None:
        """Count an attempt and return None; if there were too many, return the seconds until the next is admitted."""
        ...

    def exhausted(self, caller: str, gallery_id: str) -> AbstractSet[str]:
        """Return the subjects for which `admit` would not return None."""
        ...


class Database(Protocol):
    """Thread-safe. Several processes may share it; they write one at a time."""

    @property
    def keys(self) -> DataKeys: ...

    def close(self) -> None: ...

    def data_version(self) -> int:
        """
        A number that changes when another connection commits; cheap enough to read at every request.

        Raises StorageUnavailable if nobody knows whether one has.
        """
        ...

    def api_keys_version(self) -> object:
        """A value that changes when another connection changes API keys; may change more often."""
        ...

    def seconds_behind(self) -> float:
        """Return for how many seconds `data_version` may have missed a change."""
        ...

    def attempts(self, kind: str, limit: int, window: float) -> AttemptTable | None:
        """Return None if each process counts attempts on its own."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction with a consistent view: it does not see what others commit meanwhile."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: all or nothing. Raises Overloaded if another process writes for longer than the timeout."""
        ...

    def deleting(self, released: Collection[int] = ()) -> AbstractContextManager[Connection]:
        """A writing transaction that erases, and destroys the keys in the slots `released`, which it may fill."""
        ...

    def replacing(self, released: Collection[int] = ()) -> AbstractContextManager[Connection]:
        """A writing transaction as `deleting`, but a full disk prevents it."""
        ...

    def vector_table(self, *, hnsw: bool) -> VectorIndex | None:
        """Return the index of vectors in this database, or None if it can have none. Raises StartError."""
        ...

    def index_lock(self, gallery: int) -> AbstractContextManager[None]:
        """
        Keep other processes and threads from changing the index of a gallery that is outside of the database.

        Raises Overloaded if one of them takes longer than the timeout.
        """
        ...

    def pending_erasures(self) -> int:
        """Return the number of deletions of which something is left, because a reader needs it."""
        ...

    def settle_erasures(self) -> int:
        """Finish pending erasures if no reader prevents it; return how many remain."""
        ...

    def settle_after_crash(self) -> None:
        """Finish what an earlier process may have left."""
        ...

    def vacuum(self) -> None:
        """Write everything anew, without the space that deleted rows left empty."""
        ...


def has_slot(db: Connection, slot: int) -> bool:
    """Return whether a subject's data key is in the slot."""
    return db.execute("SELECT 1 FROM subjects WHERE key_slot = ?", (slot,)).fetchone() is not None
