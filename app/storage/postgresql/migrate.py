"""
Bring the schema in PostgreSQL to the newest version by numbered migrations.

The version is in the table `schema_version`. Each migration runs in one transaction, in which its process holds the
lock of writers, so that several processes may start at once.
"""

from __future__ import annotations

from app.domain.errors import StartError
from app.storage.cipher import Cipher
from app.storage.postgresql.connection import Connection
from app.storage.postgresql.database import Database
from app.storage.postgresql.scripts import migration_scripts

_OLDEST_SERVER = 14
UNFINISHED = "unfinished_copy"
"""The name among the metadata that marks a database into which another one is being copied."""


def open_migrated(url: str, cipher: Cipher | None = None, *, busy_timeout: float = 10.0) -> Database:
    """Open the database, at the newest schema version. Raises ServiceError, or StartError as `migrate`."""
    database = Database(url, cipher, busy_timeout=busy_timeout)
    try:
        migrate(database)
        database.watch_rows()
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: Database, *, unfinished: bool = False) -> None:
    """
    Run the scripts that the schema lacks.

    Raises StartError if it is newer than the scripts, is not one of ours, or has a copy that is not finished.
    """
    scripts = migration_scripts()
    newest = max(scripts)
    with database.migrating() as db:
        current = schema_version(db, newest=newest)
        for version, script in scripts.items():
            if version > current:
                db.run(script)
                db.execute("UPDATE schema_version SET version = ?", (version,))
        if current < newest:
            database.bind_rows(db)
        if not unfinished and db.execute("SELECT 1 FROM metadata WHERE name = ?", (UNFINISHED,)).fetchone():
            raise StartError("a copy from SQLite is not finished: run `likeness migrate` again")


def schema_version(db: Connection, *, newest: int) -> int:
    """Return the version of the schema; 0 if it is empty. Raises StartError if it is newer, or not ours."""
    if (number := db.wire.info.server_version // 10000) < _OLDEST_SERVER:
        raise StartError(f"expected PostgreSQL {_OLDEST_SERVER} or newer, got {number}")
    row = db.execute("SELECT current_schema()::text AS name, current_setting('server_encoding') AS encoding").fetchone()
    if row is None or row["name"] is None:
        raise StartError("expected a database with a schema in the search path, got none")
    if row["encoding"] != "UTF8":
        raise StartError(f"expected a database with the encoding UTF8, got {row['encoding']}")
    if not db.has_table("schema_version"):
        _require_empty(db, row["name"])
        return 0
    stored = db.execute("SELECT version FROM schema_version").fetchone()
    version = int(stored["version"]) if stored else 0
    if version > newest:
        raise StartError(
            f"expected a database of schema version {newest} or older, got version {version}: start the version of "
            "likeness that wrote it, or a newer one"
        )
    return version


def _require_empty(db: Connection, schema: str) -> None:
    found = db.execute(
        "SELECT relname::text AS name FROM pg_class WHERE relnamespace = ?::regnamespace AND relkind = 'r' LIMIT 1",
        (schema,),
    ).fetchone()
    if found:
        raise StartError(
            f"the schema {schema!r} has tables of another application ({found['name']}): set LIKENESS_DATABASE to an "
            "empty database"
        )
