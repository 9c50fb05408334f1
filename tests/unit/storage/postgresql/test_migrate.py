"""The schema is made once, by whoever comes first; another application's is left alone."""

import re
from collections.abc import Iterator
from importlib import resources

import psycopg
import pytest

from app.audit.log import AuditLog
from app.domain.errors import StartError
from app.storage.postgresql.migrate import open_migrated
from app.storage.postgresql.scripts import migration_scripts
from app.storage.scripts import migration_scripts as sqlite_scripts
from tests.support.background import map_in_threads
from tests.support.postgres import PostgresServer


@pytest.fixture
def empty(postgres_server: PostgresServer) -> Iterator[str]:
    postgres_server.execute("CREATE DATABASE empty TEMPLATE template0")
    yield postgres_server.url("empty")
    postgres_server.execute("DROP DATABASE empty WITH (FORCE)")


def test_both_databases_have_the_same_versions() -> None:
    names = [file.name for file in resources.files("app.storage").joinpath("migrations").iterdir()]
    sqlite = {int(name[:4]) for name in names if re.fullmatch(r"\d{4}_\w+\.sql", name)}

    assert max(migration_scripts()) == len(sqlite_scripts())
    assert set(migration_scripts()) == {number for number in sqlite if number >= min(migration_scripts())}


def test_processes_that_start_together_make_one_schema(empty: str) -> None:
    opened = map_in_threads(lambda _: open_migrated(empty), range(4), 4)
    faults = [AuditLog(database).verify().fault for database in opened]
    for database in opened:
        database.close()

    assert faults == [None] * 4


def test_a_newer_schema_is_refused(empty: str) -> None:
    open_migrated(empty).close()
    with psycopg.connect(empty) as db:
        db.execute("UPDATE schema_version SET version = version + 1")

    with pytest.raises(StartError, match=f"expected a database of schema version {max(migration_scripts())} or older"):
        open_migrated(empty)


def test_the_tables_of_another_application_are_left_alone(empty: str) -> None:
    with psycopg.connect(empty) as db:
        db.execute("CREATE TABLE orders (number int)")

    with pytest.raises(StartError, match="tables of another application \\(orders\\)"):
        open_migrated(empty)
    with psycopg.connect(empty) as db:
        assert [
            row[0]
            for row in db.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        ] == ["orders"]
