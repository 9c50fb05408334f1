"""PATCH and .../merge: subjects are renamed and merged, and faces moved, and every search follows."""

from typing import Any

import httpx2
import pytest

from app.domain.identity import Scope
from tests.support.answers import Body, answered, problem
from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN

from .conftest import Service

pytestmark = pytest.mark.any_database

SOON, LATER = "2998-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


def patch(api: Api, gallery: str, subject: str, **body: Any) -> httpx2.Response:
    return api.http.patch(subject_path(gallery, subject), json=body)


def merge(api: Api, gallery: str, subject: str, **body: Any) -> httpx2.Response:
    return api.http.post(f"{subject_path(gallery, subject)}/merge", json=body)


def put(api: Api, gallery: str, subject: str, **body: Any) -> None:
    assert api.http.put(subject_path(gallery, subject), json=body).is_success


def subject_of(api: Api, gallery: str, subject: str) -> Body:
    return answered(api.http.get(subject_path(gallery, subject)))


def actions(api: Api, gallery: str, subject: str) -> list[str]:
    events = answered(api.http.get(f"{subject_path(gallery, subject)}/export"))["events"]
    return [event["action"] for event in events]


@pytest.fixture
def enrolled(api: Api, gallery: str) -> dict[str, list[str]]:
    """The ids of the faces of the subjects hopper and collins."""
    return {
        name: [face["face_id"] for face in answered(api.enroll(gallery, name, *photos), 201)["enrolled"]]
        for name, photos in (("hopper", [HOPPER, HOPPER_AGAIN]), ("collins", [COLLINS]))
    }


def test_a_renamed_subject_keeps_everything(api: Api, gallery: str, enrolled: dict[str, list[str]]) -> None:
    put(api, gallery, "hopper", metadata={"rank": "admiral"}, consent="form 7", expires_at=LATER)
    before = subject_of(api, gallery, "hopper")
    renamed = answered(patch(api, gallery, "hopper", id="grace/hopper"))

    assert renamed == {**before, "subject_id": "grace/hopper"}
    assert subject_of(api, gallery, "grace/hopper") == renamed
    assert api.face_ids(gallery, "grace/hopper") == enrolled["hopper"]
    assert api.names(HOPPER, gallery) == ["grace/hopper"]
    problem(api.http.get(subject_path(gallery, "hopper")), 404, "not_found")
    assert {"subject.rename"} <= set(actions(api, gallery, "grace/hopper"))


def test_a_renamed_subject_can_be_verified_and_deleted(api: Api, gallery: str, enrolled: dict[str, list[str]]) -> None:
    answered(patch(api, gallery, "hopper", id="grace"))
    assert answered(api.verify_subject(gallery, "grace", HOPPER_AGAIN))["match"]
    api.delete(f"{subject_path(gallery, 'grace')}/faces/{enrolled['hopper'][0]}")
    api.delete(subject_path(gallery, "grace"))
    assert api.names(HOPPER, gallery) == []


def test_the_earlier_id_can_be_used_again(api: Api, gallery: str, enrolled: dict[str, list[str]]) -> None:
    assert enrolled
    answered(patch(api, gallery, "hopper", id="grace"))
    answered(api.enroll(gallery, "hopper", COLLINS), 201)
    assert api.names(HOPPER, gallery) == ["grace"]


def test_an_id_that_is_taken_is_refused_and_nothing_changes(
    api: Api, gallery: str, enrolled: dict[str, list[str]]
) -> None:
    problem(patch(api, gallery, "hopper", id="collins", metadata={"new": 1}), 409, "subject_exists")
    assert subject_of(api, gallery, "hopper")["metadata"] == {}
    assert api.face_ids(gallery, "hopper") == enrolled["hopper"]


def test_the_same_id_changes_nothing(api: Api, gallery: str, enrolled: dict[str, list[str]]) -> None:
    assert answered(patch(api, gallery, "hopper", id="hopper"))["faces"] == len(enrolled["hopper"])


def test_a_patch_describes_a_subject_that_exists(api: Api, gallery: str) -> None:
    problem(patch(api, gallery, "ada", metadata={"a": 1}), 404, "not_found")
    put(api, gallery, "ada", consent="form 7")
    changed = answered(patch(api, gallery, "ada", metadata={"a": 1}))
    assert (changed["metadata"], changed["consent"]) == ({"a": 1}, "form 7")


@pytest.mark.parametrize("body", [{"id": ""}, {"id": "a\n"}, {"id": "x" * 129}, {"id": 5}, {"name": "b"}, []])
def test_a_bad_patch_is_refused(api: Api, gallery: str, body: Any) -> None:
    put(api, gallery, "ada")
    problem(api.http.patch(subject_path(gallery, "ada"), json=body), 422, "invalid_request")
    problem(api.http.patch(subject_path(gallery, "ada")), 422, "invalid_request")


def test_a_retry_under_an_earlier_idempotency_key_enrols_anew(api: Api, gallery: str) -> None:
    answered(api.enroll(gallery, "hopper", HOPPER, key="key"), 201)
    answered(patch(api, gallery, "hopper", id="grace"))
    answered(api.enroll(gallery, "grace", HOPPER, key="key"), 201)
    assert len(api.face_ids(gallery, "grace")) == 2


def test_a_merged_subject_has_the_faces_of_both(api: Api, gallery: str, enrolled: dict[str, list[str]]) -> None:
    put(api, gallery, "hopper", metadata={"kept": True}, expires_at=LATER)
    put(api, gallery, "collins", metadata={"lost": True}, consent="form 8", expires_at=SOON)
    merged = answered(merge(api, gallery, "hopper", **{"from": "collins"}))

    assert (merged["metadata"], merged["consent"], merged["expires_at"]) == ({"kept": True}, "form 8", SOON)
    assert merged["faces"] == 3
    assert set(api.face_ids(gallery, "hopper")) == {*enrolled["hopper"], *enrolled["collins"]}
    assert api.names(COLLINS, gallery) == ["hopper"]
    problem(api.http.get(subject_path(gallery, "collins")), 404, "not_found")
    assert "subject.merge" in actions(api, gallery, "hopper")


def test_a_merge_keeps_the_consent_and_expiry_of_the_subject(
    api: Api, gallery: str, enrolled: dict[str, list[str]]
) -> None:
    assert enrolled
    put(api, gallery, "hopper", consent="form 7", expires_at=SOON)
    put(api, gallery, "collins", consent="form 8", expires_at=LATER)
    merged = answered(merge(api, gallery, "hopper", **{"from": "collins"}))
    assert (merged["consent"], merged["expires_at"]) == ("form 7", SOON)


def test_single_faces_are_moved(api: Api, gallery: str, enrolled: dict[str, list[str]]) -> None:
    first, second = enrolled["hopper"]
    put(api, gallery, "hopper", expires_at=SOON)
    moved = answered(merge(api, gallery, "collins", **{"from": "hopper"}, faces=[first]))
    assert (moved["faces"], moved["expires_at"]) == (2, None)
    assert api.face_ids(gallery, "hopper") == [second]
    assert api.candidates(HOPPER, gallery)[0]["face_id"] in {first, second}
    assert set(api.names(HOPPER, gallery)) == {"hopper", "collins"}
    assert "face.move" in actions(api, gallery, "collins")
    assert "face.move" in actions(api, gallery, "hopper")


@pytest.mark.parametrize(
    ("subject", "body", "status", "code"),
    [
        ("hopper", {"from": "hopper"}, 422, "invalid_request"),
        ("hopper", {"from": "nobody"}, 404, "not_found"),
        ("nobody", {"from": "hopper"}, 404, "not_found"),
        ("hopper", {"from": "collins", "faces": ["no-such-face"]}, 404, "not_found"),
        ("hopper", {"from": "collins", "faces": []}, 422, "invalid_request"),
        ("hopper", {"from": "collins", "other": 1}, 422, "invalid_request"),
        ("hopper", {"from": 5}, 422, "invalid_request"),
        ("hopper", {}, 422, "invalid_request"),
    ],
)
def test_a_bad_merge_is_refused_and_changes_nothing(
    api: Api, gallery: str, enrolled: dict[str, list[str]], subject: str, body: Body, status: int, code: str
) -> None:
    problem(merge(api, gallery, subject, **body), status, code)
    assert {name: api.face_ids(gallery, name) for name in enrolled} == enrolled


def test_a_merge_beyond_the_faces_of_a_subject_is_refused(
    api: Api, gallery: str, enrolled: dict[str, list[str]]
) -> None:
    vector = answered(api.embed(COLLINS))
    body = {"embeddings": [vector["results"][0]["faces"][0]["embedding"]] * 25, "model": vector["model"]["digest"]}
    for _ in range(2):
        answered(api.http.post(f"{subject_path(gallery, 'full')}/faces", json=body), 201)
    problem(merge(api, gallery, "full", **{"from": "hopper"}), 422, "invalid_request")
    assert api.face_ids(gallery, "hopper") == enrolled["hopper"]


def test_a_merge_needs_the_scopes_enroll_and_erase(service: Service, api: Api, gallery: str) -> None:
    put(api, gallery, "ada")
    put(api, gallery, "bob")
    path = f"{subject_path(gallery, 'ada')}/merge"
    for scope in (Scope.ENROLL, Scope.ERASE):
        problem(service.client(service.new_key(scope)).post(path, json={"from": "bob"}), 403, "forbidden")
    answered(service.client(service.new_key(Scope.ENROLL, Scope.ERASE)).post(path, json={"from": "bob"}))
