"""Every change says who made it, in the same transaction; what changes nothing says nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from app.audit.log import AuditLog
from app.domain.arrays import Floats
from app.domain.errors import LikenessError, ModelMismatch
from app.domain.identity import Actor
from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.records import IdempotencyRecord, KeptCrop
from app.gallery.repository import GalleryRepository
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, MODEL, numbered, template, unit, with_crops
from tests.unit.gallery.guests import ODD, contents, fill

pytestmark = pytest.mark.any_database

BY = Actor("key:ada", "r-1")
NAME = "Augusta Ada"
OTHER_MODEL = "sha256:" + "b" * 64
Use = Callable[[GalleryRepository], object]


def event(action: str, gallery: str = "guests", **details: Any) -> dict[str, Any]:
    return {"action": action, "gallery": gallery, **details}


def begin(repository: GalleryRepository) -> None:
    repository.begin_re_embedding("guests", OTHER_MODEL, DIMENSION, BY)


def begin_and_end(repository: GalleryRepository) -> None:
    begin(repository)
    repository.cancel_re_embedding("guests", BY)


def embed(crops: Sequence[KeptCrop]) -> list[Floats]:
    return [unit(9) for _ in crops]


def re_embed(repository: GalleryRepository) -> None:
    """Switch to another model, and erase the faces without a crop."""
    repository.enroll("guests", "ada", with_crops(numbered("ada", 7)), by=BY)
    begin(repository)
    crops = repository.crops_to_embed("guests", "", 9)
    repository.add_new_vectors("guests", OTHER_MODEL, crops, embed(crops), BY)
    repository.switch_model("guests", OTHER_MODEL, embed, BY, drop_faces_without_crops=True)


CHANGES: dict[str, tuple[Use, list[dict[str, Any]]]] = {
    "create": (lambda repository: repository.create_gallery("new", BY), [event("gallery.create", "new")]),
    "describe": (
        lambda repository: repository.put_subject("guests", "ada", {"name": NAME}, BY),
        [event("subject.put", subject="ada")],
    ),
    "describe someone of a new gallery": (
        lambda repository: repository.put_subject("new", "eve", {}, BY),
        [event("gallery.create", "new"), event("subject.put", "new", subject="eve")],
    ),
    "enrol": (
        lambda repository: repository.enroll("guests", "ada", numbered("ada", 7, 8), by=BY),
        [event("face.enroll", subject="ada", face=face) for face in ("7", "8")],
    ),
    "delete a face": (
        lambda repository: repository.delete_face("guests", "ada", "1", BY),
        [event("face.delete", subject="ada", face="1")],
    ),
    "delete a subject": (
        lambda repository: repository.delete_subject("guests", "ada", BY),
        [event("subject.delete", subject="ada", faces=2)],
    ),
    "delete a gallery": (
        lambda repository: repository.delete_gallery("guests", BY),
        [
            *(event("subject.delete", subject=subject) for subject in ("ada", "nobody yet", ODD)),
            event("gallery.delete", subjects=3, faces=3),
        ],
    ),
    "begin to re-embed": (
        lambda repository: begin(repository),
        [event("gallery.re_embed", model=OTHER_MODEL)],
    ),
    "end re-embedding": (
        lambda repository: begin_and_end(repository),
        [event("gallery.re_embed", model=OTHER_MODEL), event("gallery.re_embed_cancel")],
    ),
    "re-embed": (
        lambda repository: re_embed(repository),
        [
            event("face.enroll", subject="ada", face="7"),
            event("gallery.re_embed", model=OTHER_MODEL),
            event("gallery.re_embed", faces=1),
            *(
                event("face.delete", subject=subject, face=face)
                for subject, face in (("ada", "1"), ("ada", "2"), (ODD, "3"))
            ),
            event("gallery.switch_model", model=OTHER_MODEL, earlier_model=MODEL, faces=1),
        ],
    ),
    "export": (
        lambda repository: repository.export_subject("guests", "ada", BY),
        [event("subject.export", subject="ada")],
    ),
    "search": (
        lambda repository: repository.audit_event(BY, "subject.identify", "guests", "ada"),
        [event("subject.identify", subject="ada")],
    ),
    "search that names two": (
        lambda repository: repository.audit_events(BY, "subject.identify", "guests", ["ada", "bob"]),
        [event("subject.identify", subject="ada"), event("subject.identify", subject="bob")],
    ),
}
READS: list[Use] = [
    lambda repository: repository.galleries(),
    lambda repository: repository.gallery("guests"),
    lambda repository: repository.subjects("guests", 9, ""),
    lambda repository: repository.subject("guests", "ada"),
    lambda repository: repository.faces("guests", "ada"),
    lambda repository: repository.metadata("guests", ["ada"]),
    lambda repository: repository.changes_since("guests", None),
    lambda repository: repository.check_integrity(),
    lambda repository: repository.vacuum(),
    lambda repository: repository.create_gallery("guests", BY),
    lambda repository: repository.expire("2000", BY),
    lambda repository: repository.cancel_re_embedding("guests", BY),
]
REFUSED: list[Use] = [
    lambda repository: repository.create_gallery("\n", BY),
    lambda repository: repository.put_subject("guests", "", {}, BY),
    lambda repository: repository.put_subject("new", "", {}, BY),
    lambda repository: repository.enroll("guests", "eve", numbered("eve", 9, 1), by=BY),
    lambda repository: repository.enroll("guests", "eve", [template("9", "eve", unit(9), "sha256:other")], by=BY),
    lambda repository: repository.delete_face("guests", "ada", "3", BY),
    lambda repository: repository.delete_subject("guests", "eve", BY),
    lambda repository: repository.delete_gallery("none", BY),
    lambda repository: repository.export_subject("guests", "eve", BY),
    lambda repository: repository.add_new_vectors("guests", OTHER_MODEL, [], [], BY),
    lambda repository: repository.switch_model("guests", OTHER_MODEL, embed, BY, drop_faces_without_crops=True),
]


@pytest.fixture
def repository(repository: FileRepository) -> FileRepository:
    fill(repository)
    return repository


@pytest.fixture
def log(repository: FileRepository) -> AuditLog:
    return AuditLog(repository.database)


def said(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("at", "seq", "hash")}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_told_with_who_made_it_and_in_which_request(
    repository: GalleryRepository, log: AuditLog, what: str
) -> None:
    change, expected = CHANGES[what]
    before = len(log.entries())
    change(repository)
    entries = [said(entry) for entry in log.entries()[before:]]
    whose = {"by": "key:ada", "request_id": "r-1"}

    assert sorted(entries, key=str) == sorted([{"by": "key:ada", **each, **whose} for each in expected], key=str)
    assert log.verify().fault is None


@pytest.mark.parametrize("read", READS)
def test_what_changes_nothing_is_not_told(repository: GalleryRepository, log: AuditLog, read: Use) -> None:
    before = log.entries()
    read(repository)

    assert log.entries() == before


@pytest.mark.parametrize("refused", REFUSED)
def test_a_change_that_was_refused_is_not_told(repository: GalleryRepository, log: AuditLog, refused: Use) -> None:
    before, kept = log.entries(), contents(repository, "guests")
    with pytest.raises(LikenessError):
        refused(repository)

    assert log.entries() == before
    assert contents(repository, "guests") == kept


def test_an_enrolment_repeated_under_its_key_is_told_once(repository: GalleryRepository, log: AuditLog) -> None:
    remember = IdempotencyRecord("key", "request", {"enrolled": []})
    for seed in (7, 8):
        repository.enroll("guests", "ada", numbered("ada", seed), remember, BY)

    assert [each["face"] for each in log.entries() if each["by"] == "key:ada"] == ["7"]


def test_nothing_private_is_in_the_log(repository: GalleryRepository, log: AuditLog) -> None:
    repository.put_subject("guests", "ada", {"name": NAME}, BY)
    repository.enroll("guests", "ada", numbered("ada", 7), IdempotencyRecord("k", "r", {"box": [1234.5]}), BY)
    repository.export_subject("guests", "ada", BY)
    text = json.dumps(log.entries())

    assert NAME not in text
    assert "1234.5" not in text
    assert "110.5" not in text


def test_an_export_holds_all_that_is_kept_of_a_subject_and_that_it_was_asked_for(repository: GalleryRepository) -> None:
    repository.audit_event(BY, "subject.identify", "guests", "ada")
    repository.put_subject("staff", "ada", {}, BY)
    file = repository.export_subject("guests", "ada", BY)

    assert (file.gallery.id, file.subject) == ("guests", repository.subject("guests", "ada"))
    assert [face.face_id for face in file.faces] == ["1", "2"]
    assert file.faces[1].embedding.vector.tobytes() == unit(2).tobytes()
    assert [(each["action"], each["gallery"], each["subject"]) for each in file.events] == [
        ("subject.put", "guests", "ada"),
        ("face.enroll", "guests", "ada"),
        ("face.enroll", "guests", "ada"),
        ("subject.identify", "guests", "ada"),
        ("subject.export", "guests", "ada"),
    ]


def test_an_export_remembers_what_was_erased_before(repository: GalleryRepository) -> None:
    repository.delete_subject("guests", "ada", BY)
    repository.put_subject("guests", "ada", {}, BY)
    file = repository.export_subject("guests", "ada", BY)

    assert file.faces == []
    assert [each["action"] for each in file.events][-3:] == ["subject.delete", "subject.put", "subject.export"]


def test_an_import_is_told_face_by_face(repository: GalleryRepository, log: AuditLog, file: Any) -> None:
    export_gallery(repository, "guests", file)
    import_gallery(repository, "copy", file, BY)
    told = [(each["action"], each.get("subject"), each.get("face")) for each in log.entries("copy")]

    assert {each["by"] for each in log.entries("copy")} == {"key:ada"}
    assert told[0] == ("gallery.create", None, None)
    assert {("face.enroll", "ada", "1"), ("face.enroll", "ada", "2"), ("face.enroll", ODD, "3")} <= set(told)


def test_an_import_that_another_model_made_is_refused_and_told_of_no_face(
    repository: GalleryRepository, log: AuditLog, file: Any
) -> None:
    export_gallery(repository, "guests", file)
    repository.enroll("other", "eve", [template("9", "eve", unit(9), "sha256:other")], by=BY)

    with pytest.raises(ModelMismatch):
        import_gallery(repository, "other", file, BY)
    assert [each["face"] for each in log.entries("other") if each["action"] == "face.enroll"] == ["9"]
