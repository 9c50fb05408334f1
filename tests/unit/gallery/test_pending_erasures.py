"""A deletion that a reader of the file delays is counted, and finished as soon as the reader has ended."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.errors import StorageFull
from app.storage import sqlite
from app.storage.reserve import Reserve
from tests.support.repository import FileRepository
from tests.support.templates import template, unit
from tests.unit.gallery.attacker import keys_of
from tests.unit.gallery.encrypting import OLD, cipher

VECTOR = unit(1, 128).tobytes()


@pytest.fixture
def enrolled(repository: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch) -> FileRepository:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.02)
    repository.enroll("guests", "ada", [template("1", "ada", unit(1, 128))])
    assert is_kept(path)
    return repository


@pytest.fixture
def reader(path: Path, enrolled: FileRepository) -> Iterator[sqlite3.Connection]:
    """A transaction of another process that still sees the face."""
    assert enrolled.pending_erasures() == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM faces").fetchall()
        yield connection


def is_kept(path: Path) -> bool:
    return any(VECTOR[:64] in file.read_bytes() for file in path.parent.iterdir())


def test_without_a_reader_nothing_is_pending(enrolled: FileRepository, path: Path) -> None:
    enrolled.delete_subject("guests", "ada")

    assert (enrolled.pending_erasures(), is_kept(path)) == (0, False)


def test_a_deletion_is_pending_until_its_reader_has_ended(
    enrolled: FileRepository, path: Path, reader: sqlite3.Connection
) -> None:
    enrolled.delete_subject("guests", "ada")
    assert (enrolled.pending_erasures(), is_kept(path)) == (1, True)
    assert enrolled.settle_erasures() == 1
    reader.execute("COMMIT")

    assert enrolled.settle_erasures() == 0
    assert not is_kept(path)


def test_the_next_deletion_finishes_the_pending_one(
    enrolled: FileRepository, path: Path, reader: sqlite3.Connection
) -> None:
    enrolled.put_subject("guests", "eve", {})
    enrolled.delete_subject("guests", "ada")
    reader.execute("COMMIT")
    enrolled.delete_subject("guests", "eve")

    assert (enrolled.pending_erasures(), is_kept(path)) == (0, False)


def test_other_processes_know_what_is_pending_and_may_finish_it(
    enrolled: FileRepository, others: FileRepository, path: Path, reader: sqlite3.Connection
) -> None:
    enrolled.delete_subject("guests", "ada")
    assert others.pending_erasures() == 1
    reader.execute("COMMIT")

    assert others.settle_erasures() == enrolled.pending_erasures() == 0
    assert not is_kept(path)


def test_a_start_after_a_crash_counts_what_the_reader_of_a_log_may_see(
    enrolled: FileRepository, others: FileRepository, path: Path, reader: sqlite3.Connection
) -> None:
    with enrolled.database.writing() as db:  # as a process that is killed before it empties the log
        db.execute("DELETE FROM subjects")
    others.settle_after_crash()
    assert others.pending_erasures() == 1
    reader.execute("COMMIT")
    others.settle_after_crash()

    assert (others.pending_erasures(), is_kept(path)) == (0, False)


def test_new_metadata_is_counted_as_well(enrolled: FileRepository, reader: sqlite3.Connection) -> None:
    enrolled.put_subject("guests", "ada", {"name": "new"})

    assert reader.in_transaction
    assert enrolled.pending_erasures() == 1


def test_nobody_waits_for_the_lock_while_a_reader_delays_a_deletion(
    enrolled: FileRepository, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[bool] = []

    def watching(database: sqlite.Database, patience: float) -> bool:
        locked.append(database._lock.locked())
        return empty_log(database, patience)

    empty_log = sqlite.Database._empty_log
    monkeypatch.setattr(sqlite.Database, "_empty_log", watching)
    started = time.thread_time()
    enrolled.delete_subject("guests", "ada")

    assert locked == [False]
    assert reader.in_transaction
    assert time.thread_time() - started < 5


def test_what_cannot_be_recorded_is_remembered_by_the_process(
    enrolled: FileRepository, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: sqlite.Database) -> None:
        raise StorageFull("no space is left for the gallery")

    database = enrolled.database
    assert isinstance(database, sqlite.Database)
    with enrolled.database.writing() as db:
        db.execute("DELETE FROM subjects")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite.Database, "writing", full)
        database._record_pending()
    assert database.pending_erasures() == 1
    reader.execute("COMMIT")

    assert database.settle_erasures() == 0


def test_a_deletion_gives_the_reserve_up_on_a_full_disk_and_takes_it_again(
    enrolled: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Reserve(path)
    enrolled.settle_erasures()
    size = reserve.path.stat().st_size
    assert size > 0
    assert reserve.path.stat().st_mode & 0o077 == 0
    seen: list[bool] = []
    full = (size, 0)
    monkeypatch.setattr(Reserve, "_wanted_and_free", lambda _: full if reserve.path.exists() else (size, 2 * size))
    with enrolled.database.deleting():
        seen.append(reserve.path.exists())
    with enrolled.database.replacing():
        seen.append(reserve.path.exists())

    assert seen == [False, True]
    assert reserve.path.stat().st_size == size


def test_a_reserve_that_cannot_be_taken_stops_nothing(
    enrolled: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    enrolled.delete_subject("guests", "ada")

    assert not Reserve(path).path.exists()
    assert not is_kept(path)


def test_keys_that_cannot_be_destroyed_yet_are_pending(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty_log = sqlite.Database._empty_log

    def emptied_before_another_writes(database: sqlite.Database, patience: float) -> bool:
        done = empty_log(database, patience)
        other.execute("BEGIN IMMEDIATE")
        return done

    with (
        closing(FileRepository(path, cipher=cipher(OLD), busy_timeout=0.02)) as repository,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        repository.enroll("guests", "ada", [template("1", "ada", unit(1, 128))])
        with monkeypatch.context() as patch:
            patch.setattr(sqlite.Database, "_empty_log", emptied_before_another_writes)
            repository.delete_subject("guests", "ada")
        pending, kept = repository.pending_erasures(), len(keys_of(path))
        other.execute("ROLLBACK")

        assert (pending, kept) == (1, 1)
        assert (repository.settle_erasures(), keys_of(path)) == (0, {})


def test_a_log_that_cannot_be_emptied_leaves_the_deletion_pending(
    enrolled: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "connect", broken)
        enrolled.delete_subject("guests", "ada")
    assert (enrolled.pending_erasures(), is_kept(path)) == (1, True)

    assert (enrolled.settle_erasures(), is_kept(path)) == (0, False)


def test_a_file_that_cannot_be_written_anew_keeps_its_mark_for_a_later_round(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        closing(FileRepository(path, busy_timeout=0.02)) as repository,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        assert isinstance(repository.database, sqlite.Database)
        repository.enroll("guests", "ada", [template("1", "ada", unit(1, 128))])
        repository.delete_subject("guests", "ada")
        other.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.WARNING, sqlite.__name__):
            repository.settle_erasures()
        other.execute("ROLLBACK")

        assert "the file could not be written anew after an erasure" in caplog.text
        assert repository.database._last_erasure()
        repository.database.vacuum()
        assert not repository.database._last_erasure()
