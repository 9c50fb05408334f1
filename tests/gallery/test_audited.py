"""Every change says who made it, in the same transaction; what changes nothing says nothing."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from app.audit.log import AuditLog
from app.domain.errors import LikenessError, ModelMismatch
from app.domain.identity import Actor
from app.gallery.codec import IdempotencyRecord
from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.repository import GalleryRepository
from tests.gallery.guests import ODD, contents, fill
from tests.support.records import FileRecords
from tests.support.templates import numbered, template, unit

BY = Actor("key:ada", "r-1")
NAME = "Augusta Ada"
Use = Callable[[GalleryRepository], object]

CHANGES: dict[str, tuple[Use, list[dict[str, Any]]]] = {
    "create": (
        lambda records: records.create_gallery("new", BY),
        [{"action": "gallery.create", "gallery": "new"}],
    ),
    "describe": (
        lambda records: records.put_subject("guests", "ada", {"name": NAME}, BY),
        [{"action": "subject.put", "gallery": "guests", "subject": "ada"}],
    ),
    "describe someone of a new gallery": (
        lambda records: records.put_subject("new", "eve", {}, BY),
        [
            {"action": "gallery.create", "gallery": "new"},
            {"action": "subject.put", "gallery": "new", "subject": "eve"},
        ],
    ),
    "enrol": (
        lambda records: records.enroll("guests", "ada", numbered("ada", 7, 8), by=BY),
        [
            {"action": "face.enroll", "gallery": "guests", "subject": "ada", "face": "7"},
            {"action": "face.enroll", "gallery": "guests", "subject": "ada", "face": "8"},
        ],
    ),
    "delete a face": (
        lambda records: records.delete_face("guests", "ada", "1", BY),
        [{"action": "face.delete", "gallery": "guests", "subject": "ada", "face": "1"}],
    ),
    "delete a subject": (
        lambda records: records.delete_subject("guests", "ada", BY),
        [{"action": "subject.delete", "gallery": "guests", "subject": "ada", "faces": 2}],
    ),
    "delete a gallery": (
        lambda records: records.delete_gallery("guests", BY),
        [
            {"action": "subject.delete", "gallery": "guests", "subject": "ada"},
            {"action": "subject.delete", "gallery": "guests", "subject": "nobody yet"},
            {"action": "subject.delete", "gallery": "guests", "subject": ODD},
            {"action": "gallery.delete", "gallery": "guests", "subjects": 3, "faces": 3},
        ],
    ),
    "export": (
        lambda records: records.export_subject("guests", "ada", BY),
        [{"action": "subject.export", "gallery": "guests", "subject": "ada"}],
    ),
    "note": (
        lambda records: records.note(BY, "subject.identify", "guests", "ada"),
        [{"action": "subject.identify", "gallery": "guests", "subject": "ada"}],
    ),
}
READS: list[Use] = [
    lambda records: records.galleries(),
    lambda records: records.gallery("guests"),
    lambda records: records.subjects("guests", 9, ""),
    lambda records: records.subject("guests", "ada"),
    lambda records: records.faces("guests", "ada"),
    lambda records: records.metadata("guests", ["ada"]),
    lambda records: records.changes_since("guests", None),
    lambda records: records.damage(),
    lambda records: records.rebuild(),
    lambda records: records.create_gallery("guests", BY),
    lambda records: records.expire("2000", BY),
]
REFUSED: list[Use] = [
    lambda records: records.create_gallery("\n", BY),
    lambda records: records.put_subject("guests", "", {}, BY),
    lambda records: records.put_subject("new", "", {}, BY),
    lambda records: records.enroll("guests", "eve", numbered("eve", 9, 1), by=BY),
    lambda records: records.enroll("guests", "eve", [template("9", "eve", unit(9), "sha256:other")], by=BY),
    lambda records: records.delete_face("guests", "ada", "3", BY),
    lambda records: records.delete_subject("guests", "eve", BY),
    lambda records: records.delete_gallery("none", BY),
    lambda records: records.export_subject("guests", "eve", BY),
]


@pytest.fixture
def records(records: FileRecords) -> FileRecords:
    fill(records)
    return records


@pytest.fixture
def log(records: FileRecords) -> AuditLog:
    return AuditLog(records.database)


def said(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("at", "seq", "hash")}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_told_with_who_made_it_and_in_which_request(
    records: GalleryRepository, log: AuditLog, what: str
) -> None:
    change, expected = CHANGES[what]
    before = len(log.entries())
    change(records)
    entries = [said(entry) for entry in log.entries()[before:]]
    whose = {"by": "key:ada", "request_id": "r-1"}

    assert sorted(entries, key=str) == sorted([{"by": "key:ada", **each, **whose} for each in expected], key=str)
    assert log.verify().fault is None


@pytest.mark.parametrize("read", READS)
def test_what_changes_nothing_is_not_told(records: GalleryRepository, log: AuditLog, read: Use) -> None:
    before = log.entries()
    read(records)

    assert log.entries() == before


@pytest.mark.parametrize("refused", REFUSED)
def test_a_change_that_was_refused_is_not_told(records: GalleryRepository, log: AuditLog, refused: Use) -> None:
    before, kept = log.entries(), contents(records, "guests")
    with pytest.raises(LikenessError):
        refused(records)

    assert log.entries() == before
    assert contents(records, "guests") == kept


def test_an_enrolment_repeated_under_its_key_is_told_once(records: GalleryRepository, log: AuditLog) -> None:
    remember = IdempotencyRecord("key", "request", {"enrolled": []})
    for seed in (7, 8):
        records.enroll("guests", "ada", numbered("ada", seed), remember, BY)

    assert [each["face"] for each in log.entries() if each["by"] == "key:ada"] == ["7"]


def test_nothing_private_is_in_the_log(records: GalleryRepository, log: AuditLog) -> None:
    records.put_subject("guests", "ada", {"name": NAME}, BY)
    records.enroll("guests", "ada", numbered("ada", 7), IdempotencyRecord("k", "r", {"box": [1234.5]}), BY)
    records.export_subject("guests", "ada", BY)
    text = json.dumps(log.entries())

    assert NAME not in text
    assert "1234.5" not in text
    assert "110.5" not in text


def test_an_export_holds_all_that_is_kept_of_a_subject_and_that_it_was_asked_for(records: GalleryRepository) -> None:
    records.note(BY, "subject.identify", "guests", "ada")
    records.put_subject("staff", "ada", {}, BY)
    file = records.export_subject("guests", "ada", BY)

    assert (file.gallery.id, file.subject) == ("guests", records.subject("guests", "ada"))
    assert [face.face_id for face in file.faces] == ["1", "2"]
    assert file.faces[1].embedding.vector.tobytes() == unit(2).tobytes()
    assert [(each["action"], each["gallery"], each["subject"]) for each in file.events] == [
        ("subject.put", "guests", "ada"),
        ("face.enroll", "guests", "ada"),
        ("face.enroll", "guests", "ada"),
        ("subject.identify", "guests", "ada"),
        ("subject.export", "guests", "ada"),
    ]


def test_an_export_remembers_what_was_erased_before(records: GalleryRepository) -> None:
    records.delete_subject("guests", "ada", BY)
    records.put_subject("guests", "ada", {}, BY)
    file = records.export_subject("guests", "ada", BY)

    assert file.faces == []
    assert [each["action"] for each in file.events][-3:] == ["subject.delete", "subject.put", "subject.export"]


def test_an_import_is_told_face_by_face(records: GalleryRepository, log: AuditLog, file: Any) -> None:
    export_gallery(records, "guests", file)
    import_gallery(records, "copy", file, BY)
    told = [(each["action"], each.get("subject"), each.get("face")) for each in log.entries("copy")]

    assert {each["by"] for each in log.entries("copy")} == {"key:ada"}
    assert told[0] == ("gallery.create", None, None)
    assert {("face.enroll", "ada", "1"), ("face.enroll", "ada", "2"), ("face.enroll", ODD, "3")} <= set(told)


def test_an_import_that_another_model_made_is_refused_and_told_of_no_face(
    records: GalleryRepository, log: AuditLog, file: Any
) -> None:
    export_gallery(records, "guests", file)
    records.enroll("other", "eve", [template("9", "eve", unit(9), "sha256:other")], by=BY)

    with pytest.raises(ModelMismatch):
        import_gallery(records, "other", file, BY)
    assert [each["face"] for each in log.entries("other") if each["action"] == "face.enroll"] == ["9"]
