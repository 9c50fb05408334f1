"""One file, shared by processes: all or nothing, seen when it is whole, and told in the domain's words."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.errors import Overloaded, ServiceError, StorageUnavailable
from app.storage import sqlite_file
from app.storage.sqlite import Database

PRAGMAS = sqlite_file._PRAGMAS  # as they are served: read before the tests' own are set


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "some.sqlite3"


@pytest.fixture
def database(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(sqlite_file, "_PRAGMAS", PRAGMAS)
    opened = Database(path, busy_timeout=0.05)
    with opened.writing() as db:
        db.execute("CREATE TABLE words (word TEXT UNIQUE)")
    yield opened
    opened.close()


@pytest.fixture
def other(path: Path, database: Database) -> Iterator[sqlite3.Connection]:
    """Another process on the file of `database`."""
    assert database.data_version() is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def words(database: Database) -> list[str]:
    with database.reading() as db:
        return [row["word"] for row in db.execute("SELECT word FROM words ORDER BY word")]


def test_the_version_changes_with_what_others_commit_and_with_nothing_else(
    database: Database, other: sqlite3.Connection
) -> None:
    first = database.data_version()
    with database.writing() as db:
        db.execute("INSERT INTO words VALUES ('own')")
    words(database)
    own = database.data_version()
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO words VALUES ('other')")
    not_yet = database.data_version()
    other.execute("COMMIT")

    assert first == own == not_yet
    assert database.data_version() != first
    assert database.data_version() == database.data_version()


def test_a_change_that_fails_is_undone_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(ServiceError, match="UNIQUE"), database.writing() as db:
        db.executemany("INSERT INTO words VALUES (?)", [("lost",), ("twice",), ("twice",)])
    with database.writing() as db:
        db.execute("INSERT INTO words VALUES ('kept')")

    assert words(database) == ["kept"]


def test_what_is_unique_is_told_so_that_it_can_be_caught(database: Database) -> None:
    with database.writing() as db:
        db.execute("INSERT INTO words VALUES ('one')")
        with pytest.raises(sqlite3.IntegrityError):
            db.execute("INSERT INTO words VALUES ('one')")
        db.execute("INSERT INTO words VALUES ('two')")

    assert words(database) == ["one", "two"]


def test_who_writes_for_too_long_makes_the_others_overloaded_and_readers_do_not_mind(
    database: Database, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Overloaded, match="another process is writing"), database.writing():
        pass
    assert words(database) == []
    other.execute("ROLLBACK")
    with database.writing() as db:
        db.execute("INSERT INTO words VALUES ('now')")


def test_a_closed_file_and_a_wrong_statement_are_our_own_fault(database: Database) -> None:
    with pytest.raises(ServiceError, match="no such table"), database.reading() as db:
        db.execute("SELECT * FROM missing")
    database.close()
    with pytest.raises(ServiceError, match="closed"):
        database.data_version()


def test_only_its_owner_can_read_the_folder_and_the_files(database: Database, path: Path) -> None:
    with database.writing() as db:
        db.execute("INSERT INTO words VALUES ('private')")

    assert {file.stat().st_mode & 0o077 for file in (path.parent, *path.parent.iterdir())} == {0}


def test_what_is_committed_is_on_the_disk_and_what_is_deleted_is_overwritten(database: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    with database.reading() as db:
        found = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def insert(database: Database) -> None:
    with database.writing() as db:
        db.execute("INSERT INTO words VALUES ('lost')")


def remove(path: Path) -> None:
    path.unlink()


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def replace(path: Path) -> None:
    path.with_name("another").write_bytes(path.read_bytes())
    path.with_name("another").replace(path)


@pytest.mark.parametrize("use", [words, insert, Database.data_version, Database.settle_after_crash])
@pytest.mark.parametrize("spoil", [remove, move_folder, replace])
def test_a_file_that_is_no_longer_at_its_path_is_neither_read_nor_written(
    database: Database, path: Path, spoil: Callable[[Path], None], use: Callable[[Database], object]
) -> None:
    spoil(path)
    before = sorted(path.parent.iterdir()) if path.parent.exists() else None
    with pytest.raises(StorageUnavailable, match="was removed or replaced"):
        use(database)

    assert (sorted(path.parent.iterdir()) if path.parent.exists() else None) == before


def test_a_file_that_is_removed_during_a_change_is_not_reported_as_changed(database: Database, path: Path) -> None:
    def insert_and_remove() -> None:
        with database.writing() as db:
            db.execute("INSERT INTO words VALUES ('lost')")
            path.unlink()

    with pytest.raises(StorageUnavailable):
        insert_and_remove()
