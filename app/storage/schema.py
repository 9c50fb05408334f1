"""Compare the tables, indexes and triggers of a file with those that the migrations make."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache

_OBJECTS = "SELECT name, type, sql FROM main.sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"

_TOKENS = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\])|(?P<space>(?:\s|--[^\n]*|/\*.*?\*/)+)""", re.DOTALL
)


def schema_differences(db: sqlite3.Connection, statements: Iterable[str]) -> list[str]:
    """Name each object of the file that is missing, foreign, or not the one that the `statements` make."""
    expected, found = _objects_made_by(tuple(statements)), _objects(db)
    missing = ", ".join(sorted(expected.keys() - found.keys()))
    return [
        *([f"the database has no {missing}"] if missing else []),
        *(f"the database has a {found[name][0]} {name}, which is not ours" for name in found if name not in expected),
        *(
            f"the {expected[name][0]} {name} is not the one that the migrations make"
            for name in found
            if name in expected and found[name] != expected[name]
        ),
    ]


@cache
def _objects_made_by(statements: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in statements:
            db.execute(statement)
        return _objects(db)


def _objects(db: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    return {name: (kind, _without_comments(sql or "")) for name, kind, sql in db.execute(_OBJECTS)}


def _without_comments(sql: str) -> str:
    """Comments and spaces differ between files of earlier versions. A comment does not begin inside of quotes."""
    return _TOKENS.sub(lambda match: match["quoted"] or " ", sql).strip()
