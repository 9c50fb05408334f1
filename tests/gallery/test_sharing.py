"""Several processes on one file, and a file that cannot take more."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.errors import Overloaded, ServiceError, StorageFull
from app.gallery.records import Records
from tests.support.background import map_in_threads
from tests.support.records import FileRecords
from tests.support.templates import numbered


@pytest.fixture
def hasty(path: Path) -> Iterator[Records]:
    """Records that wait for nobody."""
    opened = FileRecords(path, patience=0.01)
    yield opened
    opened.close()


@pytest.fixture
def writer(path: Path, records: Records) -> Iterator[sqlite3.Connection]:
    """Another process amid a change."""
    records.enroll("guests", "ada", numbered("ada", 1))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM faces")
        yield connection


def test_changes_made_at_once_by_two_processes_are_all_kept(records: Records, others: Records) -> None:
    def enroll(seed: int) -> None:
        (records, others)[seed % 2].enroll("guests", str(seed), numbered(str(seed), seed))

    map_in_threads(enroll, range(20), 4)

    gallery = records.gallery("guests")
    assert (gallery.subjects, gallery.faces, gallery.revision) == (20, 20, 20)
    assert others.galleries() == [gallery]


def test_a_change_of_another_process_is_not_seen_before_it_is_whole(
    writer: sqlite3.Connection, records: Records
) -> None:
    before = records.gallery("guests").faces
    writer.execute("COMMIT")

    assert (before, records.gallery("guests").faces) == (1, 0)


def test_waiting_too_long_for_another_process_is_overload(hasty: Records, writer: sqlite3.Connection) -> None:
    with pytest.raises(Overloaded, match="another process is writing"):
        hasty.put_subject("guests", "bob", {})
    writer.execute("ROLLBACK")
    hasty.put_subject("guests", "bob", {})

    assert hasty.gallery("guests").subjects == 2


def test_a_full_disk_refuses_the_change_and_spoils_nothing(records: Records) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    before = records.galleries()
    with records._database.reading() as db:
        db.execute("PRAGMA max_page_count = 1")  # no page more than there are

    with pytest.raises(StorageFull, match="no space"):
        records.enroll("guests", "bob", numbered("bob", *range(2, 100)))
    assert records.galleries() == before
    records.delete_subject("guests", "ada")
    assert records.gallery("guests").faces == 0


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough for one" * 50])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(ServiceError, match="not a database"):
        FileRecords(path)
    assert path.read_bytes() == content


def test_the_folder_is_made_as_needed(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "gallery.sqlite3"
    FileRecords(path).close()

    assert path.is_file()
