"""A connection to the database file, with what the open transaction has to write before it is committed."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from app.storage.row_digests import RowDigests

Row: TypeAlias = sqlite3.Row


class Connection(sqlite3.Connection):
    """
    `entries` wait for the commit, which writes them to the audit log (app/storage/ledger.py).

    `rows` is None if the file is older than its digests.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.entries: list[dict[str, Any]] = []
        self.head_is_checked = False
        self.rows: RowDigests | None = None
