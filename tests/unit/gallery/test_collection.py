"""The faces of a gallery whoever they are of, and changes of many subjects at once."""

import pytest

from app.audit.log import AuditLog
from app.domain.errors import NotFound
from app.domain.identity import Actor
from app.gallery.records import FacePage, FaceReference, IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.repository import FileRepository
from tests.support.templates import numbered, template, unit
from tests.support.vectors import Near

ADA, BOB = "ada", "bob"
ACTOR = Actor("key:1", "r-1")


@pytest.fixture(autouse=True)
def _filled(repository: GalleryRepository) -> None:
    repository.enroll("guests", ADA, numbered(ADA, 1, 2))
    repository.enroll("guests", BOB, numbered(BOB, 3))
    repository.enroll("guests", ADA, numbered(ADA, 4))
    repository.enroll("staff", ADA, [template("9", ADA, unit(9))])


def references(*faces: tuple[str, str]) -> list[FaceReference]:
    return [FaceReference(*face) for face in faces]


def test_a_face_is_found_whoever_it_is_of(repository: GalleryRepository) -> None:
    found = repository.face("guests", "3")
    assert (found.subject_id, Near(found.embedding.vector)) == (BOB, Near(unit(3)))
    for gallery, face in (("guests", "9"), ("guests", "none"), ("none", "3")):
        with pytest.raises(NotFound):
            repository.face(gallery, face)


def test_pages_have_all_faces_oldest_first(repository: GalleryRepository) -> None:
    everyone = references(("1", ADA), ("2", ADA), ("3", BOB), ("4", ADA))
    assert repository.face_page("guests", None, 0, 3) == FacePage(everyone[:3], 4)
    assert repository.face_page("guests", None, 3, 3) == FacePage(everyone[3:], 4)
    assert repository.face_page("guests", None, 6, 3) == FacePage([], 4)
    assert repository.face_page("guests", ADA, 1, 9) == FacePage(references(("2", ADA), ("4", ADA)), 3)
    assert repository.face_page("guests", "nobody", 0, 9) == FacePage([], 0)


def test_deleted_faces_are_those_that_existed_and_their_subjects_stay(repository: GalleryRepository) -> None:
    assert repository.delete_faces("guests", face_ids=["1", "9", "none", "3"]) == references(("1", ADA), ("3", BOB))
    assert repository.delete_faces("guests", face_ids=[]) == []
    assert repository.delete_faces("guests", subject_id=ADA) == references(("2", ADA), ("4", ADA))
    assert [(each.subject_id, each.faces) for each in repository.subjects("guests", 9, "")] == [(ADA, 0), (BOB, 0)]
    assert repository.gallery("staff").faces == 1


def test_all_subjects_are_deleted_and_the_gallery_stays(repository: GalleryRepository) -> None:
    number = repository.gallery("guests").number
    assert repository.delete_all_subjects("guests") == 2
    left = repository.gallery("guests")
    assert (left.number, left.subjects, left.faces, repository.gallery("staff").faces) == (number, 0, 0, 1)


def test_every_deleted_face_and_subject_is_audited(repository: FileRepository) -> None:
    repository.delete_faces("guests", ACTOR, subject_id=ADA)
    repository.delete_all_subjects("guests", ACTOR)
    entries = [each for each in AuditLog(repository.database).entries() if each["by"] == ACTOR.name]
    assert [(each["action"], each["subject"], each.get("face")) for each in entries] == [
        *[("face.delete", ADA, face) for face in ("1", "2", "4")],
        *[("subject.delete", subject, None) for subject in (ADA, BOB)],
    ]


def test_what_was_answered_about_a_deleted_face_is_forgotten(repository: GalleryRepository) -> None:
    repository.enroll("guests", ADA, numbered(ADA, 5), IdempotencyRecord("key", "digest", {"enrolled": ["5"]}))
    repository.delete_faces("guests", face_ids=["4"])
    assert repository.saved_response("guests", ADA, "key", "digest") is None


def test_an_index_loses_the_deleted(repository: GalleryRepository, search: GallerySearch) -> None:
    probe = numbered(ADA, 1)[0].embedding
    assert [hit.face_id for hit in search.search("guests", probe, 9, 0.01)[1]] == ["1"]
    repository.delete_faces("guests", face_ids=["1"])
    assert search.search("guests", probe, 9, 0.01)[1] == []
