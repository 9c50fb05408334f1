"""
A database of its own for a test: a SQLite file, and with the marker `any_database` also one in PostgreSQL.

The variant for PostgreSQL is a slow test; `only_sqlite` takes a test of the module out.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access.api_keys import KeyStore
from app.storage.database import Database
from tests.support.postgres import PostgresServer
from tests.support.repository import open_database


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    node = metafunc.definition
    chosen = node.get_closest_marker("any_database") and not node.get_closest_marker("only_sqlite")
    if chosen and "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite3"


@pytest.fixture
def address(kind: str, path: Path, request: pytest.FixtureRequest) -> Iterator[Path | str]:
    if kind == "sqlite":
        yield path
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@pytest.fixture
def database(address: Path | str) -> Iterator[Database]:
    opened = open_database(address)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database)
