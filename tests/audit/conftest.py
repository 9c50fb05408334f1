from collections.abc import Iterator
from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.storage.sqlite import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(path)
    yield opened
    opened.close()


@pytest.fixture
def log(database: Database) -> AuditLog:
    database.create("app.audit")
    return AuditLog(database)
