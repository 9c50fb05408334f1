"""The numbered scripts of SQL that make the schema in PostgreSQL."""

from __future__ import annotations

from importlib import resources


def migration_scripts() -> dict[int, str]:
    """
    Return the SQL of each migration by the schema version that it leads to, in order.

    The numbers are those of the scripts for SQLite; the first one makes all that those up to its number make.
    """
    files = resources.files("app.storage.postgresql").joinpath("migrations").iterdir()
    scripts = {int(file.name[:4]): file.read_text("utf-8") for file in files if file.name.endswith(".sql")}
    return dict(sorted(scripts.items()))
