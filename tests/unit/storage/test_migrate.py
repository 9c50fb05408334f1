"""A file gets the newest schema version in whole steps, or is refused with a sentence and left as it was."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ServiceError, StartError
from app.storage.migrate import APPLICATION_ID, migrate, open_migrated
from app.storage.scripts import migration_scripts, statements
from app.storage.sqlite import Database

NEWEST = len(migration_scripts())
FIRST = f"PRAGMA application_id = {APPLICATION_ID}; CREATE TABLE words (word TEXT);"
SECOND = "ALTER TABLE words ADD COLUMN length INTEGER; UPDATE words SET length = length(word);"


def dump(path: Path) -> list[str]:
    """Everything in the file as SQL, and its version."""
    with closing(sqlite3.connect(path)) as db:
        return [*db.iterdump(), str(db.execute("PRAGMA user_version").fetchone()[0])]


def run_sql(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


def test_a_new_file_has_the_newest_version_and_is_left_alone_afterwards(path: Path) -> None:
    open_migrated(path).close()
    before = path.read_bytes()
    open_migrated(path).close()

    assert dump(path)[-1] == str(NEWEST)
    assert path.read_bytes() == before


def test_each_script_runs_once_and_in_order(path: Path) -> None:
    with closing(Database(path)) as database:
        migrate(database, [FIRST])
        with database.writing() as db:
            db.execute("INSERT INTO words (word) VALUES ('four')")
        migrate(database, [FIRST, SECOND])
        migrate(database, [FIRST, SECOND])
        with database.reading() as db:
            assert [tuple(row) for row in db.execute("SELECT word, length FROM words")] == [("four", 4)]


def test_a_migration_that_fails_leaves_the_version_before_it_whole(path: Path) -> None:
    with closing(Database(path)) as database:
        with pytest.raises(ServiceError, match="no such table: missing"):
            migrate(database, [FIRST, f"{SECOND} SELECT * FROM missing;"])  # noqa: S608
        after_failure = dump(path)
        migrate(database, [FIRST, SECOND])

    assert after_failure[-1] == "1"
    assert "length" not in "".join(after_failure)
    assert dump(path)[-1] == "2"


def test_a_process_that_is_killed_in_the_middle_leaves_the_version_before_it_whole(path: Path) -> None:
    with closing(Database(path)) as database:
        migrate(database, [FIRST])
        with database.writing() as db:
            for statement in statements(SECOND):
                db.execute(statement)
            db.execute("PRAGMA user_version = 2")
            shutil.copytree(path.parent, crashed := path.parent.with_name("crashed"))
    with closing(Database(crashed / path.name)) as database:
        migrate(database, [FIRST, SECOND])

    assert dump(crashed / path.name) == [*dump(path)[:-1], "2"]


def test_processes_that_start_together_migrate_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for database in pool.map(lambda _: open_migrated(path), range(8)):
            database.close()

    assert dump(path)[-1] == str(NEWEST)


def test_a_file_of_a_newer_version_is_refused_with_both_versions_and_a_way_out(path: Path) -> None:
    open_migrated(path).close()
    run_sql(path, f"PRAGMA user_version = {NEWEST + 7}")
    before = dump(path)

    with pytest.raises(StartError, match=rf"version {NEWEST} or older, got version {NEWEST + 7} .* restore a backup"):
        open_migrated(path)
    assert dump(path) == before


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE moz_places (url TEXT)",
        "CREATE TABLE audit (who TEXT)",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 252006673; CREATE TABLE audit (who TEXT); PRAGMA user_version = 1",
    ],
)
def test_a_file_of_another_application_is_refused_and_left_as_it_is(path: Path, script: str) -> None:
    run_sql(path, script)
    before = dump(path)

    with pytest.raises(StartError, match=rf"{path} is a SQLite database of another application"):
        open_migrated(path)
    assert dump(path) == before


@given(st.lists(st.sampled_from(["SELECT 1;", "SELECT ';';", "-- one; two\nSELECT 2;", "SELECT\n3;"]), max_size=5))
def test_a_script_is_split_at_the_end_of_its_statements_only(parts: list[str]) -> None:
    trigger = "CREATE TRIGGER t BEFORE DELETE ON audit\n BEGIN SELECT 1;\n SELECT 2; END;"
    script = [*parts, trigger, "SELECT 'the last semicolon may be missing'"]

    for separator in ("\n", " ", ""):
        assert [each.strip() for each in statements(separator.join(script))] == script
