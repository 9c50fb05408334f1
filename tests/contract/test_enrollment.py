"""POST /galleries/{g}/subjects/{s}/faces: a face that is enrolled is found; a face that is deleted is never found."""

from functools import partial
from typing import Any

import httpx2
import pytest

from tests.support.answers import answered, assert_is_problem, problem
from tests.support.api import Api, at_once, subject_path
from tests.support.photos import (
    COLLINS,
    HOPPER,
    HOPPER_AGAIN,
    NO_FACE,
    SMALL_HOPPER,
    base64_of,
    hopper,
    jpeg,
    png,
    scaled,
    smeared,
    variants,
)


def enrolled_ids(response: httpx2.Response) -> list[str]:
    return [face["face_id"] for face in answered(response, 201)["enrolled"]]


def test_enrolling_makes_the_gallery_and_the_subject(api: Api, gallery: str) -> None:
    body = answered(api.enroll(gallery, "hopper", HOPPER), 201)
    assert len(body["enrolled"]) == 1
    assert body["rejected"] == []
    assert api.face_ids(gallery, "hopper") == [body["enrolled"][0]["face_id"]]
    assert answered(api.http.get(subject_path(gallery, "hopper")))["metadata"] == {}


def test_several_images_are_enrolled_at_once_and_later_ones_join_them(api: Api, gallery: str) -> None:
    first = enrolled_ids(api.enroll(gallery, "hopper", *variants(hopper()).values()))
    later = enrolled_ids(api.enroll(gallery, "hopper", HOPPER))
    assert len({*first, *later}) == 6
    assert set(api.face_ids(gallery, "hopper")) == {*first, *later}


@pytest.mark.parametrize(("bad", "code"), [(NO_FACE, "face_not_found"), (b"no image", "invalid_image")])
def test_a_bad_image_is_rejected_by_its_index_and_the_good_ones_enrolled(
    api: Api, gallery: str, bad: bytes, code: str
) -> None:
    body = answered(api.enroll(gallery, "hopper", HOPPER, bad, HOPPER_AGAIN), 201)
    assert len(body["enrolled"]) == 2
    assert [rejection["index"] for rejection in body["rejected"]] == [1]
    assert_is_problem(body["rejected"][0]["problem"], code)


def test_enrolling_only_bad_images_is_refused_and_enrols_nothing(api: Api, gallery: str) -> None:
    api.create(gallery)
    problem(api.enroll(gallery, "nobody", NO_FACE, b"no image"), 422, "invalid_request")
    assert answered(api.http.get(f"/galleries/{gallery}"))["faces"] == 0


def test_a_smeared_face_is_not_enrolled_and_the_reasons_are_given(api: Api, gallery: str) -> None:
    body = problem(api.enroll(gallery, "hopper", jpeg(smeared(hopper()))), 422, "low_quality")
    assert "sharp" in str(body["reasons"])


def test_a_tiny_face_is_not_enrolled(api: Api, gallery: str) -> None:
    tiny = png(scaled(hopper(), 0.1))
    problem(api.enroll(gallery, "hopper", tiny), 422, "low_quality", "face_not_found")


@pytest.mark.parametrize("body", [{}, {"image": []}])
def test_enrolment_needs_an_image(api: Api, gallery: str, body: Any) -> None:
    problem(api.http.post(f"{subject_path(gallery, 'hopper')}/faces", json=body), 422, "invalid_request")


def test_json_takes_a_list_of_images(api: Api, gallery: str) -> None:
    path = f"{subject_path(gallery, 'hopper')}/faces"
    response = api.http.post(path, json={"image": [base64_of(HOPPER), base64_of(HOPPER_AGAIN)]})
    assert len(enrolled_ids(response)) == 2


def test_an_idempotency_key_enrols_once_and_another_one_again(api: Api, gallery: str) -> None:
    images = (SMALL_HOPPER, b"no image")
    first, again = (answered(api.enroll(gallery, "hopper", *images, key="key-1"), 201) for _ in range(2))
    assert first == again
    assert [each["index"] for each in first["enrolled"] + first["rejected"]] == [0, 1]
    assert [each["face_id"] for each in first["enrolled"]] == api.face_ids(gallery, "hopper")
    answered(api.enroll(gallery, "hopper", SMALL_HOPPER, key="key-2"), 201)
    assert len(api.face_ids(gallery, "hopper")) == 2


def test_the_same_idempotency_key_at_once_enrols_once(api: Api, gallery: str) -> None:
    responses = at_once([partial(api.enroll, gallery, "hopper", SMALL_HOPPER, key="race")] * 6)
    assert all(response.status_code < 500 for response in responses)
    assert any(response.status_code == 201 for response in responses)
    assert len(api.face_ids(gallery, "hopper")) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_1_to_255_characters(api: Api, gallery: str, key: str) -> None:
    path, headers = f"{subject_path(gallery, 'ada')}/faces", {"Idempotency-Key": key}
    body = problem(api.http.post(path, files={"image": b"x"}, headers=headers), 422, "invalid_request")
    assert body["errors"][0]["field"].lower() == "idempotency-key"


def test_faces_enrolled_at_once_for_one_subject_are_all_kept(api: Api, gallery: str) -> None:
    at_once([partial(api.enroll, gallery, "hopper", SMALL_HOPPER)] * 8)
    assert len(set(api.face_ids(gallery, "hopper"))) == 8


def test_a_deleted_face_is_never_found_again(api: Api, gallery: str) -> None:
    exact, other = enrolled_ids(api.enroll(gallery, "hopper", HOPPER, HOPPER_AGAIN))
    path = f"{subject_path(gallery, 'hopper')}/faces/{exact}"
    assert api.candidates(HOPPER, gallery)[0]["face_id"] == exact
    assert api.http.delete(path).is_success
    assert api.face_ids(gallery, "hopper") == [other]
    assert api.candidates(HOPPER, gallery)[0]["face_id"] == other
    problem(api.http.delete(path), 404, "not_found")


def test_a_subject_enrolled_again_after_its_deletion_has_the_new_face_only(api: Api, gallery: str) -> None:
    api.enroll(gallery, "person", HOPPER)
    api.http.delete(subject_path(gallery, "person"))
    assert enrolled_ids(api.enroll(gallery, "person", COLLINS)) == api.face_ids(gallery, "person")
    assert api.candidates(HOPPER, gallery) == []


def test_a_face_cannot_be_deleted_through_another_subject(api: Api, gallery: str) -> None:
    (face_id,) = enrolled_ids(api.enroll(gallery, "hopper", HOPPER))
    api.enroll(gallery, "collins", COLLINS)
    problem(api.http.delete(f"{subject_path(gallery, 'collins')}/faces/{face_id}"), 404, "not_found")
    problem(api.http.delete(f"{subject_path(gallery, 'hopper')}/faces/no-such-face"), 404, "not_found")
    assert api.face_ids(gallery, "hopper") == [face_id]
