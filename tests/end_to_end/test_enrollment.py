"""POST /galleries/{g}/subjects/{s}/faces: what is enrolled is found, what is deleted never again."""

import pytest

from .contract import answered, assert_is_problem, problem
from .likeness import at_once, subject_path
from .photos import (
    another,
    base64_of,
    collins,
    hopper,
    jpeg,
    noise,
    png,
    scaled,
    smeared,
    variants,
)

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
NO_FACE = png(noise())


def enrolled_ids(response):
    return [face["face_id"] for face in answered(response, 201)["enrolled"]]


def test_enrolling_makes_the_gallery_and_the_subject(likeness, gallery):
    body = answered(likeness.enroll(gallery, "hopper", HOPPER), 201)
    assert len(body["enrolled"]) == 1
    assert body["rejected"] == []
    assert likeness.face_ids(gallery, "hopper") == [body["enrolled"][0]["face_id"]]
    assert answered(likeness.http.get(subject_path(gallery, "hopper")))["metadata"] == {}


def test_several_images_are_enrolled_at_once(likeness, gallery):
    ids = enrolled_ids(likeness.enroll(gallery, "hopper", HOPPER, *variants(hopper()).values()))
    assert len(set(ids)) == 6
    assert set(likeness.face_ids(gallery, "hopper")) == set(ids)


def test_later_faces_join_the_earlier_ones(likeness, gallery):
    first = enrolled_ids(likeness.enroll(gallery, "hopper", HOPPER))
    second = enrolled_ids(likeness.enroll(gallery, "hopper", another(hopper())))
    assert set(likeness.face_ids(gallery, "hopper")) == {*first, *second}
    assert first != second


@pytest.mark.parametrize(("bad", "code"), [(NO_FACE, "face_not_found"), (b"no image", "invalid_image")])
def test_a_bad_image_is_rejected_by_its_index_and_the_good_ones_enrolled(likeness, gallery, bad, code):
    body = answered(likeness.enroll(gallery, "hopper", HOPPER, bad, another(hopper())), 201)
    assert len(body["enrolled"]) == 2
    assert [rejection["index"] for rejection in body["rejected"]] == [1]
    assert_is_problem(body["rejected"][0]["problem"], code)


def test_enrolling_only_bad_images_is_refused_and_enrols_nothing(likeness, gallery):
    likeness.create(gallery)
    response = likeness.enroll(gallery, "nobody", NO_FACE, b"no image")
    assert response.status_code == 422, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    assert answered(likeness.http.get(f"/galleries/{gallery}"))["faces"] == 0


def test_a_smeared_face_is_not_enrolled_and_the_reasons_are_told(likeness, gallery):
    body = problem(likeness.enroll(gallery, "hopper", jpeg(smeared(hopper()))), 422, "low_quality")
    assert "sharp" in str(body).lower() or "blur" in str(body).lower()


def test_a_tiny_face_is_not_enrolled(likeness, gallery):
    tiny = png(scaled(hopper(), 0.1))
    problem(likeness.enroll(gallery, "hopper", tiny), 422, "low_quality", "face_not_found")


def test_enrolment_needs_an_image(likeness, gallery):
    path = f"{subject_path(gallery, 'hopper')}/faces"
    problem(likeness.http.post(path, json={}), 422, "invalid_request")
    problem(likeness.http.post(path, json={"image": []}), 422, "invalid_request")


def test_json_takes_a_list_of_images(likeness, gallery):
    path = f"{subject_path(gallery, 'hopper')}/faces"
    response = likeness.http.post(path, json={"image": [base64_of(HOPPER), base64_of(another(hopper()))]})
    assert len(enrolled_ids(response)) == 2


def test_the_same_idempotency_key_enrols_once(likeness, gallery):
    first, again = (answered(likeness.enroll(gallery, "hopper", HOPPER, key="key-1"), 201) for _ in range(2))
    assert again["enrolled"] == first["enrolled"]
    assert len(likeness.face_ids(gallery, "hopper")) == 1


def test_another_idempotency_key_enrols_again(likeness, gallery):
    for key in ("key-1", "key-2"):
        answered(likeness.enroll(gallery, "hopper", HOPPER, key=key), 201)
    assert len(likeness.face_ids(gallery, "hopper")) == 2


def test_the_same_idempotency_key_at_once_enrols_once(likeness, gallery):
    responses = at_once([lambda: likeness.enroll(gallery, "hopper", HOPPER, key="race")] * 6)
    assert all(response.status_code < 500 for response in responses)
    assert any(response.status_code == 201 for response in responses)
    assert len(likeness.face_ids(gallery, "hopper")) == 1


def test_a_deleted_face_is_never_found_again(likeness, gallery):
    exact, other = enrolled_ids(likeness.enroll(gallery, "hopper", HOPPER, another(hopper())))
    assert likeness.candidates(HOPPER, gallery)[0]["face_id"] == exact
    assert likeness.http.delete(f"{subject_path(gallery, 'hopper')}/faces/{exact}").is_success
    assert likeness.face_ids(gallery, "hopper") == [other]
    assert likeness.candidates(HOPPER, gallery)[0]["face_id"] == other


def test_a_deleted_subject_is_never_found_again(likeness, gallery):
    likeness.enroll(gallery, "hopper", HOPPER)
    likeness.enroll(gallery, "collins", COLLINS)
    assert likeness.http.delete(subject_path(gallery, "hopper")).is_success
    assert likeness.candidates(HOPPER, gallery) == []
    assert len(likeness.candidates(COLLINS, gallery)) == 1
    problem(likeness.http.get(subject_path(gallery, "hopper")), 404, "not_found")
    problem(likeness.verify_subject(gallery, "hopper", HOPPER), 404, "not_found")


def test_a_subject_enrolled_anew_after_deletion_has_the_new_face_only(likeness, gallery):
    likeness.enroll(gallery, "person", HOPPER)
    likeness.http.delete(subject_path(gallery, "person"))
    (face_id,) = enrolled_ids(likeness.enroll(gallery, "person", COLLINS))
    assert likeness.face_ids(gallery, "person") == [face_id]
    assert likeness.candidates(HOPPER, gallery) == []


def test_deleting_what_is_not_there_is_not_found(likeness, gallery):
    (face_id,) = enrolled_ids(likeness.enroll(gallery, "hopper", HOPPER))
    faces = f"{subject_path(gallery, 'hopper')}/faces"
    problem(likeness.http.delete(f"{faces}/no-such-face"), 404, "not_found")
    assert likeness.http.delete(f"{faces}/{face_id}").is_success
    problem(likeness.http.delete(f"{faces}/{face_id}"), 404, "not_found")


def test_a_face_cannot_be_deleted_through_another_subject(likeness, gallery):
    (face_id,) = enrolled_ids(likeness.enroll(gallery, "hopper", HOPPER))
    likeness.enroll(gallery, "collins", COLLINS)
    problem(likeness.http.delete(f"{subject_path(gallery, 'collins')}/faces/{face_id}"), 404, "not_found")
    assert likeness.face_ids(gallery, "hopper") == [face_id]


def test_no_photo_is_kept_in_the_data_directory_or_the_log(likeness, server, gallery):
    likeness.enroll(gallery, "hopper", HOPPER)
    kept = [file for file in server.data_dir.rglob("*") if file.is_file() and file.stat().st_size]
    inside = HOPPER[len(HOPPER) // 2 :][:64]
    assert kept
    assert not any(inside in file.read_bytes() for file in [*kept, server.log])
