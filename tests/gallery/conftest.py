from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.records import FileRecords


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite3"


@pytest.fixture
def records(path: Path) -> Iterator[GalleryRepository]:
    opened = FileRecords(path)
    yield opened
    opened.close()


@pytest.fixture
def others(path: Path) -> Iterator[GalleryRepository]:
    """The records of another process: a second connection to the same file."""
    opened = FileRecords(path)
    yield opened
    opened.close()


@pytest.fixture
def gallery(records: GalleryRepository) -> GallerySearch:
    return GallerySearch(records)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a gallery may be exported to."""
    return tmp_path / "guests.jsonl"
