"""A file's schema is compared by its meaning: comments and spaces differ, quoted text does not."""

import sqlite3
from contextlib import closing

import pytest

from app.storage.connection import Connection
from app.storage.schema import schema_differences

TABLE = "CREATE TABLE words (word TEXT)"
TRIGGER = "CREATE TRIGGER guard BEFORE DELETE ON words BEGIN SELECT RAISE(ABORT, 'words stay'); END"


def differences(*statements: str) -> list[str]:
    with closing(sqlite3.connect(":memory:", factory=Connection)) as db:
        for statement in statements:
            db.execute(statement)
        return schema_differences(db, [TABLE, TRIGGER])


@pytest.mark.parametrize(
    "table", [TABLE, "CREATE TABLE words  -- of a language\n (word TEXT)", "CREATE TABLE words /* ' */ (word TEXT)"]
)
def test_comments_and_spaces_make_no_difference(table: str) -> None:
    assert differences(table, TRIGGER) == []


@pytest.mark.parametrize(
    "trigger",
    [
        TRIGGER.replace("stay", "go"),
        TRIGGER.replace("SELECT", "SELECT 1; SELECT"),
        TRIGGER.replace("words stay", "words  stay"),
        # the two hyphens are text, so what follows them is no comment
        TRIGGER.replace("'words stay'", "'--') WHERE 0; SELECT ('\nwords stay'"),
    ],
)
def test_another_trigger_of_the_same_name_is_named(trigger: str) -> None:
    assert differences(TABLE, trigger) == ["the trigger guard is not the one that the migrations make"]


def test_what_is_missing_and_what_is_foreign_is_named() -> None:
    assert differences(TABLE, "CREATE VIEW copy AS SELECT word FROM words") == [
        "the database has no guard",
        "the database has a view copy, which is not ours",
    ]
