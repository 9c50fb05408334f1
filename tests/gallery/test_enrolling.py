"""Enrolment is all or nothing, and once only under one key."""

import pytest

from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.gallery.codec import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from tests.support.templates import numbered, template, unit

ANSWER = {"enrolled": [{"face_id": "1"}], "rejected": []}
FIRST = IdempotencyRecord("key", "request", ANSWER)


def test_a_refused_enrolment_leaves_no_trace(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    before = records.galleries()

    with pytest.raises(ModelMismatch):
        records.enroll("guests", "bob", [template("2", "bob", unit(2), "sha256:other")], FIRST)
    with pytest.raises(NotFound):
        records.subject("guests", "bob")
    assert records.galleries() == before
    assert records.remembered("guests", "bob", "key", "request") is None


def test_a_face_id_is_enrolled_once_in_a_gallery(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))

    with pytest.raises(InvalidRequest, match="gallery 'guests' has one of these faces already"):
        records.enroll("guests", "bob", numbered("bob", 2, 1))
    assert records.gallery("guests").faces == 1
    records.enroll("staff", "ada", numbered("ada", 1))


def test_the_answer_is_remembered_under_its_key(records: GalleryRepository) -> None:
    assert records.remembered("guests", "ada", "key", "request") is None
    assert records.enroll("guests", "ada", numbered("ada", 1), FIRST) is None
    assert records.remembered("guests", "ada", "key", "request") == ANSWER


def test_enrolling_again_under_the_key_adds_nothing_and_gives_the_first_answer(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1), FIRST)
    before = records.gallery("guests")

    assert (
        records.enroll("guests", "ada", numbered("ada", 2), IdempotencyRecord("key", "request", {"enrolled": []}))
        == ANSWER
    )
    assert records.gallery("guests") == before


def test_a_key_used_for_another_request_is_refused(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1), FIRST)

    with pytest.raises(InvalidRequest, match="'key' was used for another request"):
        records.enroll("guests", "ada", numbered("ada", 2), IdempotencyRecord("key", "another", {}))
    with pytest.raises(InvalidRequest):
        records.remembered("guests", "ada", "key", "another")
    assert records.gallery("guests").faces == 1


@pytest.mark.parametrize(
    ("gallery", "subject", "key"), [("g", "ada", "k"), ("guests", "s", "k"), ("guests", "ada", "k")]
)
def test_a_key_holds_for_one_subject_of_one_gallery(
    records: GalleryRepository, gallery: str, subject: str, key: str
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1), FIRST)

    assert records.enroll(gallery, subject, numbered(subject, 2), IdempotencyRecord(key, "request", {})) is None
    assert [face.face_id for face in records.faces(gallery, subject)][-1] == "2"


def test_a_deleted_subject_takes_its_keys_along(records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1), FIRST)
    records.delete_subject("guests", "ada")

    assert records.enroll("guests", "ada", numbered("ada", 2), IdempotencyRecord("key", "another", {})) is None
