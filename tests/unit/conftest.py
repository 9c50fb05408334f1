"""
A database of its own for a test: a SQLite file, and with the marker `any_database` also one in PostgreSQL.

`any_database(slow=True)` makes the variant for PostgreSQL a slow test; `only_sqlite` takes a test of the module out.
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
    marker = node.get_closest_marker("any_database")
    if marker and "kind" in metafunc.fixturenames and not node.get_closest_marker("only_sqlite"):
        marks = [pytest.mark.slow] if marker.kwargs.get("slow") else []
        metafunc.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=marks)])


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
