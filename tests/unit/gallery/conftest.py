from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.repository import FileRepository


@pytest.fixture
def repository(address: Path | str) -> Iterator[FileRepository]:
    opened = FileRepository(address)
    yield opened
    opened.close()


@pytest.fixture
def others(address: Path | str) -> Iterator[FileRepository]:
    """The repository of another process: a second connection to the same database."""
    opened = FileRepository(address)
    yield opened
    opened.close()


@pytest.fixture
def search(repository: GalleryRepository) -> GallerySearch:
    return GallerySearch(repository)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of an export."""
    return tmp_path / "guests.jsonl"
