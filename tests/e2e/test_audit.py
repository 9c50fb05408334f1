"""The audit log: who did what to which subject, without data of the subject; every change of the log is found."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.support.api import Fields, subject_path
from tests.support.commands import copied, found, id_of, new_keys, outputs_of, ran, run, secret_of, traces_of, with_key
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import Server


class Story(NamedTuple):
    data_dir: Path
    key: str
    export: Fields
    entries: list[Fields]
    of: dict[str, list[Fields]]


CHANGES = ["gallery.create", "subject.put", "face.enroll", "face.delete", "subject.delete", "gallery.delete"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A data directory in which one key did all that is audited, each under a request id that names it."""
    data_dir, ada = tmp_path_factory.mktemp("story") / "data", subject_path("club", "ada")
    (key,) = new_keys(data_dir, ["--scopes", "admin"])
    with Server(data_dir) as server, with_key(server, key) as api:

        def do(request_id: str, method: str, path: str, **body: Any) -> httpx2.Response:
            response = api.http.request(method, path, headers={"X-Request-ID": request_id}, **body)
            assert response.is_success, response.text
            return response

        do("gallery.create", "PUT", "/galleries/club")
        do("subject.put", "PUT", ada, json={"metadata": {"name": "Grace Brewster"}})
        enrolled = do("face.enroll", "POST", f"{ada}/faces", files={"image": ("grace.jpg", HOPPER)}).json()
        export = do("subject.export", "GET", f"{ada}/export").json()
        do("face.delete", "DELETE", f"{ada}/faces/{enrolled['enrolled'][0]['face_id']}")
        do("subject.delete", "DELETE", ada)
        do("enrolled", "POST", "/galleries/new/subjects/eve/faces", files={"image": COLLINS})
        do("gallery.delete", "DELETE", "/galleries/new")
    options = [
        [],
        ["--gallery", "new"],
        ["--gallery", "new", "--subject", "eve"],
        ["--gallery", "club", "--subject", "ada"],
    ]
    listed = outputs_of(*[(data_dir, ["audit", "list", "--json", *option]) for option in options])
    every, *some = [json.loads(text)["entries"] for text in listed]
    return Story(data_dir, key, export, every, dict(zip(["new", "eve", "ada"], some, strict=True)))


def tampered(story: Story, to: Path, *statements: str) -> Path:
    """Return a copy of the data directory after the triggers were dropped and this SQL was run."""
    data_dir = copied(story.data_dir, to)
    with closing(sqlite3.connect(data_dir / "gallery.sqlite3")) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            database.execute(statement)
    return data_dir


def test_each_change_and_each_export_has_its_entry_with_who_and_which_request(story: Story) -> None:
    noted = {(entry["action"], entry["request_id"], entry["by"]) for entry in story.entries if "request_id" in entry}
    assert noted >= {(action, action, f"key:{id_of(story.key)}") for action in [*CHANGES, "subject.export"]}
    assert [entry["seq"] for entry in story.entries] == [*range(1, len(story.entries) + 1)]


def test_the_making_of_a_key_has_its_entry(story: Story) -> None:
    (made,) = [entry for entry in story.entries if entry["action"] == "key.create"]
    assert made["key"] == id_of(story.key)
    assert made["by"].startswith("cli:")


def test_a_gallery_made_by_an_enrolment_and_subjects_deleted_with_it_have_their_entries(story: Story) -> None:
    noted = [(entry["action"], entry["request_id"]) for entry in story.of["new"]]
    assert ("gallery.create", "enrolled") in noted
    assert story.of["eve"][-1]["request_id"] == "gallery.delete"


def test_the_entries_of_one_subject_are_its_own(story: Story) -> None:
    entries = story.of["ada"]
    assert [entry["action"] for entry in entries] == [*CHANGES[1:3], "subject.export", *CHANGES[3:5]]
    assert {(entry["gallery"], entry["subject"]) for entry in entries} == {("club", "ada")}


def test_no_vector_box_or_metadata_value_is_left_after_the_erasure(story: Story) -> None:
    traces = traces_of(story.export) | {"secret": secret_of(story.key).encode(), "file name": b"grace.jpg"}
    assert found(traces, story.data_dir) == set()


def test_an_untouched_log_is_whole_and_contains_an_earlier_head(story: Story) -> None:
    assert ran(story.data_dir, "audit", "verify", "--head", story.entries[3]["hash"]).startswith("whole")


CUT = "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
TAMPERING = {
    "an entry edited": ["UPDATE audit SET entry = replace(entry, 'ada', 'bob') WHERE seq = 4"],
    "an entry removed": ["DELETE FROM audit WHERE seq = 4"],
    "the first removed": ["DELETE FROM audit WHERE seq = 1"],
    "the last removed": [CUT],
    "an entry put in": ["INSERT INTO audit (entry, hash) SELECT entry, hash FROM audit WHERE seq = 3"],
    "two swapped": ["UPDATE audit SET seq = seq - 9 WHERE seq IN (4, 5)", "UPDATE audit SET seq = -seq WHERE seq < 0"],
    "a hash edited": ["UPDATE audit SET hash = printf('%064d', 0) WHERE seq = 4"],
}


@pytest.fixture(scope="module")
def verdicts(story: Story, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of `audit verify` after each of these."""
    folder = tmp_path_factory.mktemp("tampered")
    copies = [tampered(story, folder / name, *statements) for name, statements in TAMPERING.items()]
    return dict(zip(TAMPERING, outputs_of(*[(copy, ["audit", "verify"]) for copy in copies]), strict=True))


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found(verdicts: dict[str, str], how: str) -> None:
    assert verdicts[how].startswith("broken")


def test_a_log_cut_short_without_a_trace_is_found_by_its_head(story: Story, tmp_path: Path) -> None:
    cut = tampered(story, tmp_path / "cut", CUT, "UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'audit'")
    assert run(cut, "audit", "verify", "--head", story.entries[-1]["hash"]).returncode == 2


REWRITING = [
    "UPDATE audit SET entry = '{}'",
    "DELETE FROM audit",
    "REPLACE INTO audit (seq, entry, hash) SELECT 4, entry, hash FROM audit WHERE seq = 3",
    "INSERT INTO audit (seq, entry, hash) VALUES (4, '{}', '') ON CONFLICT (seq) DO UPDATE SET entry = '{}'",
]


@pytest.mark.parametrize("statement", REWRITING)
def test_the_database_itself_refuses_to_rewrite_an_entry(story: Story, tmp_path: Path, statement: str) -> None:
    database_file = copied(story.data_dir, tmp_path / "copy") / "gallery.sqlite3"
    with closing(sqlite3.connect(database_file)) as database, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        database.execute(statement)


def test_a_directory_without_a_gallery_has_no_audit_log_that_could_be_whole(tmp_path: Path) -> None:
    assert run(tmp_path / "mistyped", "audit", "verify").returncode == 2
    assert not (tmp_path / "mistyped").exists()
