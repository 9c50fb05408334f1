from collections.abc import Iterator
from pathlib import Path

import pytest

from app.audit.log import AuditLog
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
def log(database: Database) -> AuditLog:
    return AuditLog(database)
