"""The numbered scripts of SQL that make the schema of a SQLite file."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib import resources


def migration_scripts() -> list[str]:
    """Return the SQL of every migration in order; the first leads to version 1."""
    files = resources.files("app.storage").joinpath("migrations").iterdir()
    scripts = {file.name: file.read_text("utf-8") for file in files if file.name.endswith(".sql")}
    return [scripts[name] for name in sorted(scripts)]


def migration_statements() -> Iterator[str]:
    for script in migration_scripts():
        yield from statements(script)


def statements(script: str) -> Iterator[str]:
    """Split a script into its statements; the body of a trigger is part of its statement."""
    statement = ""
    for part in re.split("(?<=;)", script):
        statement += part
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
