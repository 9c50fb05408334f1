"""A connection to PostgreSQL that takes the statements of SQLite, and waits for an answer only so long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from app.domain.errors import ServiceError
from app.storage.database import NoteRow
from app.storage.postgresql.schema import schema_differences
from app.storage.row_hashes import BOUND_TABLES, bound_columns

if TYPE_CHECKING:
    from app.storage.row_digests import RowDigests

T = TypeVar("T")

ANSWER_TIMEOUT = 10.0
"""Seconds; with a network that drops packets there is neither an answer nor an error."""
_OPTIONS = {
    "application_name": "likeness",
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "target_session_attrs": "read-write",
}
"""Options of a connection that its address does not give."""
_SESSION = (
    "SET lock_timeout = {lock_timeout}; SET idle_in_transaction_session_timeout = '60s'; SET bytea_output = hex; "
    "SET client_encoding = UTF8"
)


class Row:
    __slots__ = ("_places", "_values")

    def __init__(self, places: dict[str, int], values: Sequence[Any]) -> None:
        self._places, self._values = places, values

    def keys(self) -> list[str]:
        return [*self._places]

    def __getitem__(self, key: str | int) -> Any:
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)


def _row_maker(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    places = {column.name: place for place, column in enumerate(cursor.description or ())}
    return lambda values: Row(places, values)


class Wire(psycopg.Connection[Row]):
    """psycopg's connection, which raises an OperationalError if there is no answer within `answer_timeout` seconds."""

    answer_timeout = ANSWER_TIMEOUT

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(gen, interval, self.answer_timeout if timeout is None else timeout)


def open_wire(url: str, lock_timeout: float = 10.0) -> Wire:
    """Raises psycopg.Error."""
    given = conninfo_to_dict(url)
    options = {name: value for name, value in _OPTIONS.items() if name not in given}
    wire = Wire.connect(url, autocommit=True, row_factory=_row_maker, **options)  # type: ignore[arg-type]
    try:
        wire.execute(_SESSION.format(lock_timeout=int(1000 * lock_timeout)).encode())
    except BaseException:
        wire.close()
        raise
    return wire


class Connection:
    """
    Implements app.storage.database.Connection.

    `keys_read` are the data keys that the transaction has read; `has_erased` says that it replaced or deleted some.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.entries: list[dict[str, Any]] = []
        self.head_is_checked = False
        self.rows: RowDigests | None = None
        self.keys_read: dict[int, bytes] = {}
        self.has_erased = False
        self._columns: dict[str, dict[str, bool]] = {}
        self._note: NoteRow = lambda *_: None

    def close(self) -> None:
        self.wire.close()

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Row]:
        return self.wire.execute(_translated(sql), values or None, binary=bool(values))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Row]:
        cursor = self.wire.cursor()
        cursor.executemany(_translated(sql), values)
        return cursor

    def forget_values(self, sql: str, /) -> None:
        """Do nothing: the driver keeps no values."""

    def run(self, script: str) -> None:
        """Run several statements at once, which have no values."""
        self.wire.execute(script.encode())

    def commit(self) -> None:
        """Raises ServiceError if a statement has failed; PostgreSQL would roll back and say nothing."""
        if self.wire.info.transaction_status != TransactionStatus.INTRANS:
            raise ServiceError("the transaction has failed and cannot be committed")
        self.run("COMMIT")

    def is_idle(self) -> bool:
        """Return whether the connection can be used for another transaction."""
        return not self.wire.closed and self.wire.info.transaction_status == TransactionStatus.IDLE

    def has_table(self, name: str) -> bool:
        return bool(self._columns_of(name))

    def column_names(self, table: str) -> list[str]:
        return list(self._columns_of(table))

    def cell(self, name: str) -> str:
        return f"cell({name})"

    def install_watch(self, note: NoteRow) -> None:
        """Make the temporary table into which the triggers `note_row` write."""
        self._note = note
        self.run(
            "CREATE TEMP TABLE IF NOT EXISTS noted_rows (change INTEGER, relation TEXT, content JSON) "
            "ON COMMIT DELETE ROWS"
        )

    def collect_changes(self) -> None:
        for change, table, content in self.execute(
            "DELETE FROM pg_temp.noted_rows RETURNING change, relation, content"
        ):
            columns = self._columns_of(table)
            cells = [_cell(content[name], is_bytes=columns[name]) for name in bound_columns(self, table)]
            types = " ".join(kind for kind, _ in cells)
            self._note(change, table, content.get(BOUND_TABLES[table], 0), types, *(value for _, value in cells))

    def last_audit_number(self) -> int:
        """PostgreSQL has only the signed head, which is checked anyway."""
        return 0

    def schema_differences(self) -> list[str]:
        return schema_differences(self.wire)

    def integrity_problems(self) -> list[str]:
        """PostgreSQL has no check of its own that any role may run; it checks the sum of each page that is read."""
        return []

    def _columns_of(self, table: str) -> dict[str, bool]:
        """Return the columns of a table in order, and whether each holds bytes."""
        if not self._columns.get(table):
            rows = self.execute(
                "SELECT attname::text AS name, atttypid = 'bytea'::regtype AS is_bytes FROM pg_attribute "
                "WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                (table,),
            )
            self._columns[table] = {row["name"]: row["is_bytes"] for row in rows}
        return self._columns[table]


@lru_cache(maxsize=512)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _cell(value: Any, *, is_bytes: bool) -> tuple[str, bytes | None]:
    """Return the type and the bytes of a value of a JSON document, as `typeof` and `cell` do in SQL."""
    if value is None:
        return "null", None
    if is_bytes:
        return "blob", bytes.fromhex(value[2:])
    if isinstance(value, int):
        return "integer", b"%d" % value
    return "text", value.encode()
