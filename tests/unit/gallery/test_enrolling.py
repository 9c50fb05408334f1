"""Enrolment is all or nothing, and once only under one key."""

import pytest

from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from tests.support.templates import numbered, template, unit

pytestmark = pytest.mark.any_database

ANSWER = {"enrolled": [{"face_id": "1"}], "rejected": []}
FIRST = IdempotencyRecord("key", "request", ANSWER)


def test_a_refused_enrolment_leaves_no_trace(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    before = repository.galleries()

    with pytest.raises(ModelMismatch):
        repository.enroll("guests", "bob", [template("2", "bob", unit(2), "sha256:other")], FIRST)
    with pytest.raises(NotFound):
        repository.subject("guests", "bob")
    assert repository.galleries() == before
    assert repository.saved_response("guests", "bob", "key", "request") is None


def test_a_face_id_is_enrolled_once_in_a_gallery(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))

    with pytest.raises(InvalidRequest, match="gallery 'guests' has one of these faces already"):
        repository.enroll("guests", "bob", numbered("bob", 2, 1))
    assert repository.gallery("guests").faces == 1
    repository.enroll("staff", "ada", numbered("ada", 1))


def test_enrolling_again_under_the_key_adds_nothing_and_gives_the_first_answer(repository: GalleryRepository) -> None:
    assert repository.saved_response("guests", "ada", "key", "request") is None
    assert repository.enroll("guests", "ada", numbered("ada", 1), FIRST) is None
    before = repository.gallery("guests")

    assert repository.saved_response("guests", "ada", "key", "request") == ANSWER
    assert (
        repository.enroll("guests", "ada", numbered("ada", 2), IdempotencyRecord("key", "request", {"enrolled": []}))
        == ANSWER
    )
    assert repository.gallery("guests") == before


def test_a_key_used_for_another_request_is_refused(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1), FIRST)

    with pytest.raises(InvalidRequest, match="'key' was used for another request"):
        repository.enroll("guests", "ada", numbered("ada", 2), IdempotencyRecord("key", "another", {}))
    with pytest.raises(InvalidRequest):
        repository.saved_response("guests", "ada", "key", "another")
    assert repository.gallery("guests").faces == 1


@pytest.mark.parametrize(
    ("gallery", "subject", "key"), [("g", "ada", "k"), ("guests", "s", "k"), ("guests", "ada", "k")]
)
def test_a_key_holds_for_one_subject_of_one_gallery(
    repository: GalleryRepository, gallery: str, subject: str, key: str
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1), FIRST)

    assert repository.enroll(gallery, subject, numbered(subject, 2), IdempotencyRecord(key, "request", {})) is None
    assert [face.face_id for face in repository.faces(gallery, subject)][-1] == "2"


def test_a_deleted_subject_takes_its_keys_along(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1), FIRST)
    repository.delete_subject("guests", "ada")

    assert repository.enroll("guests", "ada", numbered("ada", 2), IdempotencyRecord("key", "another", {})) is None
