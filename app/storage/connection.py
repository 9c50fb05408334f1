"""A connection to a SQLite file, with what the open transaction has to write before it is committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from app.storage.database import NoteRow
from app.storage.row_hashes import BOUND_TABLES, watch_triggers
from app.storage.schema import schema_differences
from app.storage.scripts import migration_scripts, migration_statements

if TYPE_CHECKING:
    from app.storage.row_digests import RowDigests

Row: TypeAlias = sqlite3.Row


class Connection(sqlite3.Connection):
    """Implements app.storage.database.Connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.entries: list[dict[str, Any]] = []
        self.head_is_checked = False
        self.rows: RowDigests | None = None

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """
        Return a closed cursor, which has only the number of rows.

        An open one shares its statement with the next call: freed late, in another thread, as an error that keeps it
        is, it would reset the statement in the middle of that call.
        """
        cursor = super().executemany(sql, parameters)
        cursor.close()
        return cursor

    def forget_values(self, sql: str, /) -> None:
        with suppress(sqlite3.IntegrityError):
            self.execute(sql, (None,) * sql.count("?"))

    def has_table(self, name: str) -> bool:
        return self.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None

    def column_names(self, table: str) -> list[str]:
        return [row["name"] for row in self.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def cell(self, name: str) -> str:
        return f"CAST({name} AS BLOB)"

    def install_watch(self, note: NoteRow) -> None:
        """
        Make temporary triggers, which exist on this connection only and call `note` at once.

        A file of an earlier schema version, which is not migrated for a backup, may lack tables.
        """
        self.create_function("note_row", -1, note)
        is_older = self.execute("PRAGMA user_version").fetchone()[0] < len(migration_scripts())
        for statement in watch_triggers(self, [each for each in BOUND_TABLES if not is_older or self.has_table(each)]):
            self.execute(statement)

    def collect_changes(self) -> None: ...

    def last_audit_number(self) -> int:
        """SQLite keeps the number when its row is removed."""
        row = self.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
        return int(row["seq"]) if row else 0

    def schema_differences(self) -> list[str]:
        return schema_differences(self, migration_statements())

    def integrity_problems(self) -> list[str]:
        return [row[0] for row in self.execute("PRAGMA integrity_check") if row[0] != "ok"]
