"""The audit log: who did what to which subject, without what is known of the subject, and not to be changed unseen."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from .likeness import subject_path
from .operating import audit, copied, found, id_of, new_keys, ran, run, said_by, traces_of, with_key
from .photos import collins, hopper, jpeg
from .server import Server


class Story(NamedTuple):
    data_dir: Path
    key: str
    export: dict


CHANGES = ["gallery.create", "subject.put", "face.enroll", "face.delete", "subject.delete", "gallery.delete"]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A data directory in which one key did all that is audited, each under a request id that names it."""
    data_dir, ada = tmp_path_factory.mktemp("story") / "data", subject_path("club", "ada")
    (key,) = new_keys(data_dir, ["--scopes", "admin"])
    with Server(data_dir) as server, with_key(server, key).http as http:

        def do(request_id, method, path, **body):
            response = http.request(method, path, headers={"X-Request-ID": request_id}, **body)
            assert response.is_success, response.text
            return response

        do("gallery.create", "PUT", "/galleries/club")
        do("subject.put", "PUT", ada, json={"metadata": {"name": "Grace Brewster"}})
        enrolled = do("face.enroll", "POST", f"{ada}/faces", files={"image": ("grace.jpg", jpeg(hopper()))}).json()
        export = do("subject.export", "GET", f"{ada}/export").json()
        do("face.delete", "DELETE", f"{ada}/faces/{enrolled['enrolled'][0]['face_id']}")
        do("subject.delete", "DELETE", ada)
        do("enrolled", "POST", "/galleries/new/subjects/eve/faces", files={"image": jpeg(collins())})
        do("gallery.delete", "DELETE", "/galleries/new")
    return Story(data_dir, key, export)


def tampered(story, to, *statements):
    """A copy of the data directory after somebody dropped the triggers and ran this SQL."""
    data_dir = copied(story.data_dir, to)
    with closing(sqlite3.connect(data_dir / "gallery.sqlite3")) as database, database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            database.execute(statement)
    return data_dir


def test_each_change_and_each_export_has_its_entry_with_who_and_which_request(story):
    entries = audit(story.data_dir)
    told = {(entry["action"], entry["request_id"], entry["by"]) for entry in entries if "request_id" in entry}
    assert told >= {(action, action, f"key:{id_of(story.key)}") for action in [*CHANGES, "subject.export"]}
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))


def test_the_making_of_a_key_has_its_entry(story):
    (made,) = [entry for entry in audit(story.data_dir) if entry["action"] == "key.create"]
    assert made["key"] == id_of(story.key)
    assert made["by"].startswith("cli:")


def test_a_gallery_made_by_an_enrolment_has_its_entries_and_so_have_those_who_went_with_it(story):
    told = [(entry["action"], entry["request_id"]) for entry in audit(story.data_dir, "--gallery", "new")]
    assert ("gallery.create", "enrolled") in told
    assert audit(story.data_dir, "--gallery", "new", "--subject", "eve")[-1]["request_id"] == "gallery.delete"


def test_the_entries_of_one_subject_are_its_own(story):
    entries = audit(story.data_dir, "--gallery", "club", "--subject", "ada")
    assert [entry["action"] for entry in entries] == [
        "subject.put",
        "face.enroll",
        "subject.export",
        "face.delete",
        "subject.delete",
    ]
    assert {(entry["gallery"], entry["subject"]) for entry in entries} == {("club", "ada")}


def test_no_vector_box_or_metadata_value_is_left_once_all_was_erased(story):
    traces = traces_of(story.export) | {"secret": story.key.split("_", 2)[2].encode(), "file name": b"grace.jpg"}
    assert found(traces, story.data_dir) == set()


def test_a_log_that_nobody_touched_is_whole_and_has_the_head_written_down_before(story):
    head = audit(story.data_dir)[3]["hash"]
    assert ran(story.data_dir, "audit", "verify", "--head", head).startswith("whole")


CUT = "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
TAMPERING = {
    "an entry edited": ["UPDATE audit SET entry = replace(entry, 'ada', 'bob') WHERE seq = 4"],
    "an entry removed": ["DELETE FROM audit WHERE seq = 4"],
    "the first removed": ["DELETE FROM audit WHERE seq = 1"],
    "the last removed": [CUT],
    "an entry put in": ["INSERT INTO audit (entry, hash) SELECT entry, hash FROM audit WHERE seq = 3"],
    "two swapped": [
        "UPDATE audit SET seq = -1 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = 5",
        "UPDATE audit SET seq = 5 WHERE seq = -1",
    ],
    "a hash edited": ["UPDATE audit SET hash = printf('%064d', 0) WHERE seq = 4"],
}


@pytest.fixture(scope="module")
def verdicts(story, tmp_path_factory):
    """What `audit verify` says after each of these."""
    folder = tmp_path_factory.mktemp("tampered")
    copies = [tampered(story, folder / name, *statements) for name, statements in TAMPERING.items()]
    return dict(zip(TAMPERING, said_by(*[(copy, ["audit", "verify"]) for copy in copies]), strict=True))


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found(verdicts, how):
    assert verdicts[how].startswith("broken")


def test_a_log_cut_short_with_all_its_traces_is_found_by_its_head(story, tmp_path):
    head = audit(story.data_dir)[-1]["hash"]
    cut = tampered(story, tmp_path / "cut", CUT, "UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'audit'")
    assert run(cut, "audit", "verify", "--head", head).returncode == 2


REWRITING = [
    "UPDATE audit SET entry = '{}'",
    "DELETE FROM audit",
    "REPLACE INTO audit (seq, entry, hash) SELECT 4, entry, hash FROM audit WHERE seq = 3",
    "INSERT INTO audit (seq, entry, hash) VALUES (4, '{}', '') ON CONFLICT (seq) DO UPDATE SET entry = '{}'",
    "UPDATE OR REPLACE audit SET seq = 4 WHERE seq = 5",
]


@pytest.mark.parametrize("statement", REWRITING)
def test_the_database_itself_refuses_to_rewrite_an_entry(story, tmp_path, statement):
    file = copied(story.data_dir, tmp_path / "copy") / "gallery.sqlite3"
    with closing(sqlite3.connect(file)) as database, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        database.execute(statement)


def test_a_directory_without_a_gallery_has_no_audit_log_that_could_be_whole(tmp_path):
    assert run(tmp_path / "mistyped", "audit", "verify").returncode == 2
    assert not (tmp_path / "mistyped").exists()
