from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gallery.gallery import Gallery
from app.gallery.records import Records
from app.runtime import database
from tests.support.records import FileRecords


@pytest.fixture(scope="module", autouse=True)
def quick_disk() -> Iterator[None]:
    """No fsync: none of these tests pulls the plug."""
    pragmas = [pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in database._PRAGMAS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_PRAGMAS", pragmas)
        yield


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
