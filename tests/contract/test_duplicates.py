"""Enrolling a face that another subject has is told, and refused on request."""

import httpx2
import pytest

from app.domain.identity import Scope
from tests.support.answers import Body, answered, problem
from tests.support.api import Api, part, subject_path
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, NO_FACE

from .conftest import Service

pytestmark = pytest.mark.any_database

STEPS = 10  # of distances to enrolled faces, in each unit


def enroll(api: Api, gallery: str, subject: str, *photos: bytes, **fields: str) -> httpx2.Response:
    return api.post(f"{subject_path(gallery, subject)}/faces", *(part("image", each) for each in photos), **fields)


def duplicates(response: httpx2.Response) -> list[tuple[int, str]]:
    return [(each["index"], each["subject_id"]) for each in answered(response, 201)["duplicates"]]


def is_rounded(duplicate: Body) -> bool:
    return bool(round(duplicate["distance"] * STEPS) / STEPS == duplicate["distance"])


def test_the_other_subject_is_named_with_a_rounded_distance(api: Api, gallery: str) -> None:
    assert duplicates(enroll(api, gallery, "grace", HOPPER)) == []
    (found,) = answered(enroll(api, gallery, "hopper", HOPPER_AGAIN), 201)["duplicates"]
    (candidate,) = [each for each in api.candidates(HOPPER_AGAIN, gallery) if each["subject_id"] == "grace"]
    assert found == {"index": 0, "subject_id": "grace", "distance": candidate["distance"]}
    assert is_rounded(found)


def test_faces_of_the_subject_itself_and_of_strangers_are_no_duplicates(api: Api, gallery: str) -> None:
    enroll(api, gallery, "hopper", HOPPER)
    assert duplicates(enroll(api, gallery, "hopper", HOPPER_AGAIN)) == []
    assert duplicates(enroll(api, gallery, "collins", COLLINS)) == []


def test_a_duplicate_has_the_index_of_its_image(api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    assert duplicates(enroll(api, gallery, "other", NO_FACE, COLLINS, HOPPER)) == [(2, "grace")]


def test_a_duplicate_is_refused_on_request_and_nothing_enrolled(api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    body = problem(enroll(api, gallery, "hopper", COLLINS, HOPPER_AGAIN, on_duplicate="reject"), 409, "duplicate_face")
    assert [(each["index"], each["subject_id"]) for each in body["duplicates"]] == [(1, "grace")]
    problem(api.http.get(subject_path(gallery, "hopper")), 404, "not_found")
    assert api.face_ids(gallery, "grace")


def test_a_face_of_nobody_is_enrolled_where_duplicates_are_refused(api: Api, gallery: str) -> None:
    assert duplicates(enroll(api, gallery, "collins", COLLINS, on_duplicate="reject")) == []
    assert duplicates(enroll(api, gallery, "hopper", HOPPER, on_duplicate="reject")) == []


def test_an_unknown_choice_is_refused(api: Api, gallery: str) -> None:
    problem(enroll(api, gallery, "ada", HOPPER, on_duplicate="ignore"), 422, "invalid_request")


def test_a_vector_may_be_a_duplicate(api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    embedded = answered(api.embed(HOPPER_AGAIN))
    vector = embedded["results"][0]["faces"][0]["embedding"]
    body = {"embedding": vector, "model": embedded["model"]["digest"], "on_duplicate": "reject"}
    problem(api.http.post(f"{subject_path(gallery, 'other')}/faces", json=body), 409, "duplicate_face")


def test_a_saved_answer_does_not_keep_the_other_subject(api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    first, again = (answered(api.enroll(gallery, "hopper", HOPPER_AGAIN, key="key"), 201) for _ in range(2))
    assert [each["subject_id"] for each in first["duplicates"]] == ["grace"]
    assert again == {**first, "duplicates": []}
    exported = api.http.get(f"{subject_path(gallery, 'hopper')}/export").json()
    assert "grace" not in str(exported["saved_responses"])


def test_being_named_is_audited_as_an_identification(api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    enroll(api, gallery, "hopper", HOPPER_AGAIN)
    events = answered(api.http.get(f"{subject_path(gallery, 'grace')}/export"))["events"]
    assert "subject.identify" in [event["action"] for event in events]


def test_being_named_in_a_refusal_is_audited_once(api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    problem(enroll(api, gallery, "hopper", HOPPER_AGAIN, on_duplicate="reject"), 409, "duplicate_face")
    events = answered(api.http.get(f"{subject_path(gallery, 'grace')}/export"))["events"]
    assert [event["action"] for event in events].count("subject.identify") == 1


def test_a_key_that_may_list_subjects_is_told(service: Service, api: Api, gallery: str) -> None:
    enroll(api, gallery, "grace", HOPPER)
    key = Api(service.client(service.new_key(Scope.ENROLL)))
    (found,) = answered(enroll(key, gallery, "hopper", HOPPER_AGAIN), 201)["duplicates"]
    assert found["subject_id"] == "grace"
    assert is_rounded(found)
