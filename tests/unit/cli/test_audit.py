"""`likeness audit ...`: who did what, and whether that is still what was written."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from app.domain.identity import Actor
from tests.support.repository import FileRepository
from tests.support.templates import numbered
from tests.unit.cli.conftest import Command

ODD = ":key: [b]\u202e\x9b2J \ufb01 Žofie"


@pytest.fixture
def filled(likeness: Command) -> Command:
    repository = FileRepository(likeness.data / "gallery.sqlite3")
    repository.enroll("guests", "ada", numbered("ada", 1), by=Actor("key:1", "r-1"))
    repository.put_subject("guests", ODD, {"name": "Augusta"})
    repository.put_subject("staff", "ada", {})
    repository.close()
    return likeness


def document(likeness: Command, *arguments: object, exit_code: int = 0) -> dict[str, Any]:
    done = likeness("audit", *arguments, "--json")
    assert done.exit_code == exit_code, done.output
    return dict(json.loads(done.stdout))


def spoil(likeness: Command, statement: str) -> None:
    """Change the file without its triggers, which somebody with the rights of root can do."""
    with closing(sqlite3.connect(likeness.data / "gallery.sqlite3")) as db, db:
        guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
        for _, sql in guards:
            db.execute(sql)


def test_entries_are_listed_as_they_were_written_a_json_object_a_line(filled: Command) -> None:
    listed = document(filled, "list")["entries"]
    lines = filled("audit", "list").stdout.splitlines()
    assert [json.loads(line) for line in lines] == listed
    assert [(each["seq"], each["action"], each.get("subject")) for each in listed] == [
        (1, "gallery.create", None),
        (2, "face.enroll", "ada"),
        (3, "subject.put", ODD),
        (4, "gallery.create", None),
        (5, "subject.put", "ada"),
    ]
    assert (listed[1]["by"], listed[1]["request_id"]) == ("key:1", "r-1")
    assert "Augusta" not in str(lines)


def test_the_terminal_is_shown_no_character_that_it_would_obey(filled: Command) -> None:
    shown = filled("audit", "list").stdout
    assert not {character for character in shown if not character.isprintable()} - {"\n"}


@pytest.mark.parametrize(
    ("arguments", "seqs"),
    [
        (["--gallery", "guests"], [1, 2, 3]),
        (["--subject", "ada"], [2, 5]),
        (["--gallery", "staff", "--subject", "ada"], [5]),
        (["--subject", ODD], [3]),
        (["--gallery", "none"], []),
    ],
)
def test_of_one_gallery_or_subject_alone(filled: Command, arguments: list[str], seqs: list[int]) -> None:
    assert [each["seq"] for each in document(filled, "list", *arguments)["entries"]] == seqs


def test_a_whole_log_is_told_with_its_head_which_stays_part_of_it(filled: Command) -> None:
    verdict = document(filled, "verify")
    said = filled("audit", "verify").stdout
    filled("keys", "create", "--scopes", "verify")
    later = document(filled, "verify", "--head", verdict["head"])
    assert (verdict["ok"], verdict["entries"]) == (True, 5)
    assert said == f"whole: 5 entries, head {verdict['head']}\n"
    assert (later["ok"], later["entries"]) == (True, 6)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "UPDATE audit SET entry = replace(entry, 'key:1', 'key:2') WHERE seq = 2",
            "entry 2 was changed, or one before it",
        ),
        ("DELETE FROM audit WHERE seq = 3", "expected entry 3, got 4"),
        ("DELETE FROM audit WHERE seq = 5", "the entries after 4 are missing"),
    ],
)
def test_a_broken_log_is_told_and_ends_with_2(filled: Command, statement: str, fault: str) -> None:
    spoil(filled, statement)
    verdict = document(filled, "verify", exit_code=2)
    done = filled("audit", "verify")
    assert verdict["ok"] is False
    assert verdict["fault"].startswith(fault)
    assert (done.exit_code, done.stdout.startswith(f"broken: {fault}")) == (2, True)


def test_a_head_that_was_never_there_is_told(filled: Command) -> None:
    assert document(filled, "verify", "--head", "0" * 63 + "1", exit_code=2)["fault"].endswith("replaced or cut")


def test_where_there_is_no_gallery_there_is_no_whole_log(likeness: Command) -> None:
    done = likeness("audit", "verify")
    assert done.exit_code == 2
    assert f"no gallery in {likeness.data}" in done.stderr
    assert not likeness.data.exists()
