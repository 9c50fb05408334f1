"""A database of its own for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access.api_keys import KeyStore
from app.storage.migrate import open_migrated
from app.storage.sqlite import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = open_migrated(path)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database)
