"""`likeness gallery ...`: the galleries without a server."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.storage.cipher import AesGcmCipher
from tests.support.milvus import running_milvus
from tests.support.repository import FileRepository
from tests.support.templates import numbered
from tests.unit.cli.conftest import Command


@pytest.fixture
def filled(likeness: Command) -> Command:
    repository = FileRepository(likeness.data / "gallery.sqlite3")
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    repository.put_subject("guests", "bob", {"name": "Bob"})
    repository.close()
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
    head, *rows = [line.split() for line in filled("gallery", "list").stdout.splitlines()]
    assert head == ["GALLERY", "SUBJECTS", "FACES", "MODEL"]
    assert [row[:3] for row in rows] == [["default", "0", "0"], ["guests", "2", "2"]]


def test_an_export_can_be_imported_elsewhere_and_again(filled: Command) -> None:
    file = filled.folder / "guests.jsonl"
    exported = {"gallery": "guests", "faces": 2, "left_out": []}
    assert document(filled, "export", file, "--gallery", "guests") == exported
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


def test_a_whole_gallery_has_no_damage(filled: Command) -> None:
    assert document(filled, "check") == {"ok": True, "damage": []}
    assert filled("gallery", "check").stdout.strip() == "no damage found"


@pytest.fixture
def damaged(filled: Command) -> Command:
    """A gallery whose face 2 and whose metadata of Bob cannot be read."""
    spoil(filled, "UPDATE faces SET vector = ? WHERE id = '2'", b"short")
    spoil(filled, "UPDATE subjects SET metadata = ? WHERE id = 'bob'", b"{")
    return filled


FACE = {
    "kind": "face",
    "gallery": "guests",
    "subject_id": "ada",
    "face_id": "2",
    "problem": "vector: expected a float32 vector, got 5 bytes",
}
METADATA = {"kind": "metadata", "gallery": "guests", "subject_id": "bob", "problem": "metadata: not JSON"}


def test_damage_is_listed_and_ends_with_2(damaged: Command) -> None:
    done, text = damaged("gallery", "check", "--json"), damaged("gallery", "check")
    assert (done.exit_code, text.exit_code) == (2, 2)
    assert json.loads(done.stdout) == {"ok": False, "damage": [FACE, METADATA]}
    assert text.stdout.splitlines() == [
        "gallery 'guests', subject 'ada', face '2': vector: expected a float32 vector, got 5 bytes",
        "gallery 'guests', subject 'bob': metadata: not JSON",
    ]


def test_an_export_of_a_damaged_gallery_says_what_was_left_out(damaged: Command) -> None:
    file = damaged.folder / "guests.jsonl"
    assert document(damaged, "export", file, "--gallery", "guests")["left_out"] == [FACE, METADATA]
    assert (
        "damaged and left out: gallery 'guests', subject 'ada', face '2'"
        in damaged("gallery", "export", file, "--gallery", "guests").stdout
    )
    assert document(damaged, "import", file, "--gallery", "copy")["faces"] == 1


def test_a_repair_removes_the_damage_and_says_what_it_was(damaged: Command) -> None:
    assert document(damaged, "repair", "--yes") == {"ok": True, "removed": [FACE, METADATA]}
    assert document(damaged, "check") == {"ok": True, "damage": []}
    assert damaged("gallery", "repair").stdout == "no damage found\n"
    entries = [json.loads(line) for line in damaged("audit", "list").stdout.splitlines()]
    assert [(each["action"], each["subject"]) for each in entries[-2:]] == [
        ("face.repair", "ada"),
        ("subject.repair", "bob"),
    ]


def test_a_repair_asks_for_confirmation(damaged: Command) -> None:
    refused = [damaged("gallery", "repair", input=answer) for answer in ("n\n", "")]
    refused.append(damaged("gallery", "repair", "--json"))
    agreed = damaged("gallery", "repair", input="y\n")
    assert [done.exit_code for done in refused] == [2, 2, 2]
    assert ["nothing was removed" in done.stderr for done in refused] == [True, True, False]
    assert "face '2': vector: " in refused[0].stderr
    assert "expected --yes" in json.loads(refused[2].stdout)["detail"]
    assert agreed.exit_code == 0
    assert agreed.stdout.splitlines()[-2:] == [
        "removed: gallery 'guests', subject 'ada', face '2': vector: expected a float32 vector, got 5 bytes",
        "emptied: gallery 'guests', subject 'bob': metadata: not JSON",
    ]


@pytest.mark.parametrize("command", [["list"], ["check"], ["repair", "--yes"], ["rebuild"], ["export", "out.jsonl"]])
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


def test_a_command_that_erases_says_that_a_reader_still_holds_earlier_values(filled: Command) -> None:
    with closing(sqlite3.connect(filled.data / "gallery.sqlite3", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM faces").fetchall()
        done, text = document(filled, "rebuild"), filled("gallery", "rebuild").stdout

    assert done == {"ok": True, "erasures_pending": 1}
    assert "until every other reader of the gallery has ended" in text


def test_a_gallery_is_re_keyed(likeness: Command) -> None:
    key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    path = likeness.data / "gallery.sqlite3"
    with closing(FileRepository(path, cipher=AesGcmCipher([bytes([7]) * 32]))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
        before = repository.gallery("guests").sealed_seed
        done = likeness("gallery", "rekey", "guests", "--json", encryption_key=key)

        assert json.loads(done.stdout) == {"gallery": "guests", "faces": 2}
        assert repository.gallery("guests").sealed_seed != before
        assert repository.check_integrity() == []


def test_a_gallery_that_is_not_encrypted_is_not_re_keyed(filled: Command) -> None:
    done = filled("gallery", "rekey", "guests")

    assert done.exit_code == 2
    assert "only an encrypted gallery has a secret transform" in done.stderr


def test_the_recall_of_an_approximate_search_is_measured(filled: Command) -> None:
    """So small a gallery is compared face by face."""
    measured = document(filled, "recall", "guests", "--sample", "5")
    said = filled("gallery", "recall", "guests")

    assert measured == {
        "gallery": "guests",
        "faces": 2,
        "sample": 2,
        "in_graphs": 0.0,
        "nearest": 1.0,
        "ten_nearest": 1.0,
    }
    assert said.stdout.startswith("100.00% of the nearest subjects and 100.00% of the ten nearest are found")


@pytest.mark.slow
def test_the_recall_of_an_index_outside_is_measured_once_it_is_filled(filled: Command) -> None:
    with running_milvus() as milvus:
        done = filled("gallery", "recall", "guests", "--json", search=milvus.url.replace("http", "milvus"))
    measured = json.loads(done.stdout)

    assert (measured["faces"], measured["nearest"], measured["in_graphs"]) == (2, 1.0, None)


def test_a_gallery_without_faces_has_no_recall(filled: Command) -> None:
    done = filled("gallery", "recall", "default")

    assert done.exit_code == 2
    assert "expected a gallery with faces, got 'default' without" in done.stderr
