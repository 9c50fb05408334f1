from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gallery.gallery import Gallery
from app.gallery.records import Records
from tests.support.records import FileRecords


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite3"


@pytest.fixture
def records(path: Path) -> Iterator[Records]:
    opened = FileRecords(path)
    yield opened
    opened.close()


@pytest.fixture
def others(path: Path) -> Iterator[Records]:
    """The records of another process: a second connection to the same file."""
    opened = FileRecords(path)
    yield opened
    opened.close()


@pytest.fixture
def gallery(records: Records) -> Gallery:
    return Gallery(records)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a gallery may be exported to."""
    return tmp_path / "guests.jsonl"
