"""
Bring a database file to the newest schema version by numbered migrations.

`PRAGMA user_version` in the file is the number of the last migration that ran. Each migration runs in one transaction
together with the change of that number, so an interrupted one leaves the earlier version whole. The write lock is held
meanwhile, so that several processes may start at once. `executescript` would commit the open transaction before it
runs (Synapse lost the transactions of its migrations that way, see its pull request 14910), hence `statements`.
PostgreSQL has scripts of its own with the same numbers (app/storage/postgresql/migrate.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from app.domain.errors import StartError
from app.storage.cipher import Cipher
from app.storage.connection import Connection
from app.storage.scripts import migration_scripts, statements
from app.storage.sqlite import Database

APPLICATION_ID = 0x4C494B45  # "LIKE" in ASCII; set by the first migration


def open_migrated(
    path: Path, cipher: Cipher | None = None, *, keys: Path | None = None, busy_timeout: float = 10.0
) -> Database:
    """
    Open the database at `path`, and its data keys as `Database`, at the newest schema version.

    Raises ServiceError, or StartError as `migrate`.
    """
    database = Database(path, cipher, keys=keys, busy_timeout=busy_timeout)
    try:
        migrate(database, migration_scripts(), database.bind_rows)
        database.watch_rows()
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: Database, scripts: Sequence[str], finish: Callable[[Connection], None] = lambda _: None) -> None:
    """
    Run the `scripts` that the file lacks, and `finish` in the transaction of the last one.

    Raises StartError if the file has a version that is newer than the scripts, or is not one of ours.
    """
    with database.reading() as db:
        current = schema_version(db, database.path, newest=len(scripts))
    if current == len(scripts):
        return
    for version, script in enumerate(scripts, start=1):
        with database.writing() as db:
            if schema_version(db, database.path, newest=len(scripts)) < version:  # no other process was faster
                for statement in statements(script):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {version}")
                if version == len(scripts):
                    finish(db)


def schema_version(db: Connection, path: Path, *, newest: int) -> int:
    """Return the schema version of the file. Raises StartError if it is newer than `newest` or the file is not ours."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application_id = int(db.execute("PRAGMA application_id").fetchone()[0])
    if application_id != APPLICATION_ID and (version or not _may_become_ours(db)):
        raise StartError(f"{path} is a SQLite database of another application: set LIKENESS_DATA_DIR to another folder")
    if version > newest:
        raise StartError(
            f"expected a database of schema version {newest} or older, got version {version} in {path}: "
            "start the version of likeness that wrote it, or a newer one, or restore a backup made before its upgrade"
        )
    return version


def _may_become_ours(db: Connection) -> bool:
    """Return whether a file without version and application id is empty, or was written before versions existed."""
    is_empty = not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    audit_columns = [row["name"] for row in db.execute("SELECT name FROM pragma_table_info('audit')")]
    return is_empty or audit_columns == ["seq", "entry", "hash"]
