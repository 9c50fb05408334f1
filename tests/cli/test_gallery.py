"""`likeness gallery ...`: the records without a server."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.support.records import FileRecords
from tests.support.templates import numbered, template, unit


@pytest.fixture
def filled(likeness: Command) -> Command:
    records = FileRecords(likeness.data / "gallery.sqlite3")
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    records.put_subject("guests", "bob", {"name": "Bob"})
    records.close()
    return likeness


def document(likeness: Command, *arguments: object) -> dict[str, Any]:
    done = likeness("gallery", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def spoil(likeness: Command, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(likeness.data / "gallery.sqlite3")) as connection, connection:
        connection.execute(statement, values)


def test_galleries_are_listed_with_their_counts(filled: Command) -> None:
    listed = document(filled, "list")["galleries"]

    assert [(each["id"], each["subjects"], each["faces"]) for each in listed] == [("default", 0, 0), ("guests", 2, 2)]
    assert filled("gallery", "list").stdout.splitlines() == [
        "default: 0 subjects, 0 faces",
        "guests: 2 subjects, 2 faces",
    ]


def test_an_export_can_be_imported_elsewhere_and_again(filled: Command) -> None:
    file = filled.folder / "guests.jsonl"

    assert document(filled, "export", file, "--gallery", "guests") == {"gallery": "guests", "faces": 2}
    assert document(filled, "import", file, "--gallery", "copy") == {"gallery": "copy", "faces": 2}
    assert document(filled, "import", file, "--gallery", "copy") == {"gallery": "copy", "faces": 0}
    copy = document(filled, "list")["galleries"][0]
    assert (copy["id"], copy["subjects"], copy["faces"]) == ("copy", 2, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "out.jsonl", "--gallery", "none"], "no gallery 'none'"),
        (["export", "no/such/folder/out.jsonl"], "No such file or directory"),
        (["import", "missing.jsonl"], "missing.jsonl"),
        (["import", "text.jsonl"], "text.jsonl, line 1: not an exported gallery"),
    ],
)
def test_what_cannot_be_done_is_told_in_words_and_ends_with_2(
    filled: Command, arguments: list[str], words: str
) -> None:
    (filled.folder / "text.jsonl").write_text("no JSON")
    done = filled("gallery", *arguments)

    assert done.exit_code == 2
    assert words in done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_an_import_that_contradicts_what_is_there_is_told_in_words(filled: Command) -> None:
    file = filled.folder / "guests.jsonl"
    document(filled, "export", file, "--gallery", "guests")
    file.write_text(file.read_text().replace('"ada"', '"eve"'))
    done = filled("gallery", "import", file, "--gallery", "guests", "--json")

    assert done.exit_code == 2
    assert json.loads(done.stdout)["code"] == "invalid_request"
    assert "one of these faces already" in json.loads(done.stdout)["detail"]


def test_an_import_of_another_model_is_told_in_words(filled: Command) -> None:
    file = filled.folder / "guests.jsonl"
    document(filled, "export", file, "--gallery", "guests")
    records = FileRecords(filled.data / "gallery.sqlite3")
    records.enroll("other", "eve", [template("9", "eve", unit(9), "sha256:other")])
    records.close()
    done = filled("gallery", "import", file, "--gallery", "other", "--json")

    assert (done.exit_code, json.loads(done.stdout)["code"]) == (2, "model_mismatch")


def test_a_whole_gallery_has_no_damage(filled: Command) -> None:
    assert document(filled, "check") == {"ok": True, "damage": []}
    assert filled("gallery", "check").stdout.strip() == "no damage found"


def test_damage_is_listed_and_ends_with_2(filled: Command) -> None:
    spoil(filled, "UPDATE faces SET vector = ? WHERE id = '2'", b"short")
    done = filled("gallery", "check", "--json")

    assert done.exit_code == 2
    assert json.loads(done.stdout) == {"ok": False, "damage": ["face 2: 5 bytes are no float32 vector"]}


@pytest.mark.parametrize("command", [["list"], ["check"], ["rebuild"], ["export", "out.jsonl"]])
def test_a_file_that_is_no_database_is_told_in_words(likeness: Command, command: list[str]) -> None:
    likeness.data.mkdir()
    (likeness.data / "gallery.sqlite3").write_bytes(b"this is no database at all" * 100)
    done = likeness("gallery", *command)

    assert done.exit_code == 2
    assert "not a database" in done.stderr


def test_rebuilding_keeps_what_is_there_and_gives_room_back(filled: Command) -> None:
    path: Path = filled.data / "gallery.sqlite3"
    spoil(filled, "CREATE TABLE bulk AS SELECT zeroblob(1000000) AS x")
    spoil(filled, "DROP TABLE bulk")
    before = path.stat().st_size
    done = document(filled, "rebuild")

    assert done == {"ok": True}
    assert path.stat().st_size < before - 900_000
    assert document(filled, "list")["galleries"][1]["faces"] == 2
