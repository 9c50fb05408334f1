"""Faces and subjects older than a moment are erased from every file, and nothing else is."""

import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.audit.log import AuditLog
from app.domain.embeddings import Embedding, Template
from app.domain.identity import Actor
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.gallery.retention import Expired
from tests.support.repository import FileRepository
from tests.support.templates import FACE, MODEL, QUALITY, unit

pytestmark = pytest.mark.any_database

RETENTION = Actor("retention")
GALLERIES, SUBJECTS = ["guests", "staff"], ["ada", "bob"]
DAYS = st.integers(1, 6)
STEPS = st.lists(
    st.tuples(st.sampled_from(GALLERIES), st.sampled_from(SUBJECTS), DAYS, st.lists(DAYS, max_size=3)), max_size=8
)
Step = tuple[str, str, int, list[int]]


def day(number: int) -> str:
    return f"2026-01-{number:02}T00:00:00.000Z"


def enrolled(face_id: str, subject: str, on: int) -> Template:
    return Template(face_id, subject, Embedding(unit(int(face_id)), MODEL), FACE, QUALITY, day(on))


@dataclass
class Plain:
    """The day each subject was created, and the day each face was enrolled."""

    made: dict[tuple[str, str], int] = field(default_factory=dict)
    faces: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def expire(self, before: int) -> dict[str, int]:
        """Return the number of faces erased in each gallery that lost anything."""
        gone = [face for face, on in self.faces.items() if on < before]
        self.faces = {face: on for face, on in self.faces.items() if on >= before}
        with_faces = {(gallery, subject) for gallery, subject, _ in self.faces}
        left = {who: on for who, on in self.made.items() if on >= before or who in with_faces}
        touched = {gallery for gallery, *_ in gone} | {gallery for gallery, _ in self.made.keys() - left.keys()}
        self.made = left
        return {gallery: sum(face[0] == gallery for face in gone) for gallery in touched}


def fill(repository: GalleryRepository, steps: list[Step], patch: pytest.MonkeyPatch) -> Plain:
    """On some day, faces that were enrolled on others."""
    plain, number = Plain(), 0
    for gallery in GALLERIES:
        repository.create_gallery(gallery)
    for gallery, subject, made_on, face_days in steps:
        patch.setattr("app.gallery.subject_statements.now", lambda made_on=made_on: day(made_on))
        repository.put_subject(gallery, subject, None)
        plain.made.setdefault((gallery, subject), made_on)
        for on in face_days:
            number += 1
            repository.enroll(gallery, subject, [enrolled(str(number), subject, on)])
            plain.faces[gallery, subject, str(number)] = on
    return plain


def kept(repository: GalleryRepository) -> tuple[set[tuple[str, str]], set[tuple[str, str, str]]]:
    """The subjects and the faces there are."""
    subjects = {(gallery, each.subject_id) for gallery in GALLERIES for each in repository.subjects(gallery, 99, "")}
    faces = {(*who, face.face_id) for who in subjects for face in repository.faces(*who)}
    return subjects, faces


@settings(max_examples=40)
@given(steps=STEPS, before=DAYS)
@example(steps=[("guests", "ada", 1, [])], before=2)  # a subject that never had a face
def test_what_goes_is_what_a_plain_model_says(steps: list[Step], before: int) -> None:
    folder = Path(tempfile.mkdtemp())
    with closing(FileRepository(folder / "gallery.sqlite3")) as repository, pytest.MonkeyPatch.context() as patch:
        plain = fill(repository, steps, patch)
        first = {gallery.id: gallery.revision for gallery in repository.galleries()}
        done, again = repository.expire(day(before), RETENTION), repository.expire(day(before), RETENTION)
        expected, subjects, faces = plain.expire(before), *kept(repository)
        raised = {gallery.id for gallery in repository.galleries() if gallery.revision == first[gallery.id] + 1}
    shutil.rmtree(folder)

    assert {each.gallery_id: each.faces for each in done} == expected
    assert again == []
    assert (subjects, faces) == (set(plain.made), set(plain.faces))
    assert raised == expected.keys()


def test_a_face_enrolled_at_the_very_moment_stays(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", [enrolled("1", "ada", 3)])

    assert repository.expire(day(3), RETENTION) == []
    assert repository.expire("2026-01-03T00:00:00.001Z", RETENTION) == [Expired("guests", 1)]


def test_each_thing_that_went_is_in_the_audit_log(
    repository: GalleryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [
        ("guests", "ada", 1, [1, 2, 5]),
        ("staff", "bob", 1, [1]),
        ("staff", "ada", 1, []),
        ("staff", "eve", 9, []),
    ]
    fill(repository, steps, monkeypatch)
    before = len(AuditLog(repository._database).entries())
    repository.expire(day(4), RETENTION)
    log = AuditLog(repository._database)

    told = [(each["action"], each["gallery"], each["subject"], each.get("face")) for each in log.entries()[before:]]
    assert sorted(told, key=str) == [
        ("face.expire", "guests", "ada", "1"),
        ("face.expire", "guests", "ada", "2"),
        ("face.expire", "staff", "bob", "4"),
        ("subject.expire", "staff", "ada", None),
        ("subject.expire", "staff", "bob", None),
    ]
    assert {each["by"] for each in log.entries()[before:]} == {"retention"}
    assert log.verify().fault is None


@pytest.mark.only_sqlite
def test_where_nothing_expires_nothing_is_written(repository: GalleryRepository, path: Path) -> None:
    repository.enroll("guests", "ada", [enrolled("1", "ada", 3)])
    before = path.with_name(path.name + "-wal").read_bytes()

    assert repository.expire(day(2), RETENTION) == []
    assert path.with_name(path.name + "-wal").read_bytes() == before


@pytest.mark.only_sqlite
def test_of_what_expired_no_byte_is_left_in_any_file(repository: GalleryRepository, path: Path) -> None:
    for number in range(1, 9):
        repository.enroll("guests", "ada", [enrolled(str(number), "ada", number)])
    repository.expire(day(5), RETENTION)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert [number for number in range(1, 9) if unit(number).tobytes()[:16] in files] == [5, 6, 7, 8]


def test_what_was_answered_about_an_expired_face_is_forgotten(repository: GalleryRepository) -> None:
    for subject, number, on in (("ada", "1", 1), ("bob", "2", 9)):
        remember = IdempotencyRecord("key", "request", {"box": [1, 2]})
        repository.enroll(
            "guests", subject, [enrolled(number, subject, on), enrolled(number + "0", subject, 9)], remember
        )
    repository.expire(day(5), RETENTION)

    assert repository.saved_response("guests", "ada", "key", "request") is None
    assert repository.saved_response("guests", "bob", "key", "request") == {"box": [1, 2]}


def test_subjects_past_their_expiry_are_erased_from_every_file_and_audited(
    repository: GalleryRepository, path: Path
) -> None:
    for number, subject in enumerate(("ada", "bob", "eve"), start=1):
        repository.enroll("guests", subject, [enrolled(str(number), subject, 9)])
    repository.put_subject("guests", "ada", {"name": "Augusta"}, consent="form 7", expires_at=day(3))
    repository.put_subject("guests", "bob", None, expires_at=day(4))
    before = repository.gallery("guests")

    assert repository.expire_subjects("2026-01-02T23:59:59.999Z", RETENTION) == []
    assert repository.expire_subjects(day(3), RETENTION) == [Expired("guests", 1)]
    assert repository.expire_subjects(day(3), RETENTION) == []

    assert [subject.subject_id for subject in repository.subjects("guests", 9, "")] == ["bob", "eve"]
    _, changes = repository.changes_since("guests", before)
    assert changes.removed == ["1"]
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert [trace for trace in (unit(1).tobytes(), b"Augusta", b"form 7") if trace in files] == []
    entry = AuditLog(repository._database).entries("guests", "ada")[-1]
    told = [entry[name] for name in ("by", "action", "faces", "expires_at")]
    assert told == ["retention", "subject.expire", 1, day(3)]


def test_an_earlier_consent_is_in_no_file(repository: GalleryRepository, path: Path) -> None:
    repository.put_subject("guests", "ada", None, consent="form 4711")
    repository.put_subject("guests", "ada", None, consent="")

    assert b"4711" not in b"".join(file.read_bytes() for file in path.parent.iterdir())
