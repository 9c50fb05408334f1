"""The database that the settings name opens, or the start ends with a sentence that says why not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.bootstrap.storage import (
    database_name,
    erasure_warning,
    open_postgresql,
    open_repository,
    require_sqlite,
    transfer_to_postgresql,
)
from app.domain.errors import StartError
from app.settings import Settings
from tests.support.commands import encryption_key
from tests.support.postgres import PostgresServer
from tests.support.repository import open_database

ADDRESS = SecretStr("postgresql://user:secret@host/name")


def test_a_gallery_that_cannot_be_written_to_stops_the_start_with_its_path(path: Path) -> None:
    open_database(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON galleries BEGIN SELECT RAISE(ABORT, 'no room'); END")
    settings = Settings(data_dir=path.parent, _env_file=None)

    with pytest.raises(StartError, match=f"cannot write to the gallery {path}: .*no room"), open_repository(settings):
        pass


def test_what_is_said_of_postgresql_has_no_password(path: Path) -> None:
    settings = Settings(database=ADDRESS, data_dir=path.parent, _env_file=None)
    encrypted = settings.model_copy(update={"encryption_key": SecretStr(encryption_key())})

    assert database_name(settings) == "in LIKENESS_DATABASE"
    assert "rows of deleted faces stay in the files of PostgreSQL" in str(erasure_warning(settings))
    assert erasure_warning(encrypted) is None
    with pytest.raises(StartError, match=r"^`likeness x` is for the file in LIKENESS_DATA_DIR; .*LIKENESS_DATABASE y$"):
        require_sqlite(settings, "likeness x", "y")


def test_an_address_of_another_database_and_a_missing_package_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartError, match="expected the address of a database that begins with postgresql://"):
        open_postgresql("mysql://host/name", None)
    monkeypatch.setattr("app.bootstrap.storage.find_spec", lambda _: None)
    with pytest.raises(StartError, match=r"PostgreSQL needs the package psycopg: install likeness\[postgres\]"):
        open_postgresql(ADDRESS.get_secret_value(), None)


def test_a_database_that_is_not_there_and_one_that_is_no_file_are_told(postgres_server: PostgresServer) -> None:
    with pytest.raises(StartError, match=r'cannot open the gallery in PostgreSQL: .*"missing" does not exist'):
        open_postgresql(postgres_server.url("missing"), None)
    with (
        postgres_server.database() as url,
        closing(open_database(url)) as source,
        pytest.raises(StartError, match="expected a SQLite file to copy"),
    ):
        transfer_to_postgresql(source, url, lambda *_: None)
