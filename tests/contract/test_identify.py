"""POST /identify: which of the enrolled people this is; a stranger is given no name."""

from functools import partial

import pytest

from tests.support.answers import answered, identification, problem
from tests.support.api import Api, at_once
from tests.support.photos import (
    COLLINS,
    COLLINS_AGAIN,
    HOPPER,
    HOPPER_AGAIN,
    NO_FACE,
    SMALL_HOPPER,
    base64_of,
    hopper,
    real,
    variants,
)


@pytest.fixture
def people(api: Api, gallery: str) -> str:
    """A gallery with one photo of each person."""
    answered(api.enroll(gallery, "hopper", HOPPER), 201)
    answered(api.enroll(gallery, "collins", COLLINS), 201)
    return gallery


def test_an_enrolled_person_is_identified_by_another_photo(api: Api, people: str) -> None:
    for photo, name in ((HOPPER_AGAIN, "hopper"), (COLLINS_AGAIN, "collins")):
        body = identification(api.identify(photo, gallery=people))
        (face,) = body["faces"]
        assert face["identified"] is True
        assert [candidate["subject_id"] for candidate in face["candidates"]] == [name]
        assert face["candidates"][0]["probability"] > 0.9
        assert (body["gallery"]["id"], body["gallery"]["subjects"], body["gallery"]["faces"]) == (people, 2, 2)


def test_a_stranger_is_not_identified_and_that_is_no_error(api: Api, gallery: str) -> None:
    api.enroll(gallery, "collins", COLLINS)
    body = identification(api.identify(HOPPER, gallery=gallery))
    assert body["faces"][0]["identified"] is False
    assert body["faces"][0]["candidates"] == []


def test_the_default_threshold_promises_a_rate_of_strangers_named(api: Api, people: str) -> None:
    threshold = identification(api.identify(HOPPER, gallery=people))["threshold"]
    assert threshold["source"] == "default"
    assert threshold["fpir"] == pytest.approx(0.01)
    assert 0 < threshold["fmr"] <= 0.01


def test_the_default_threshold_tightens_as_the_gallery_grows(api: Api, people: str) -> None:
    before = identification(api.identify(HOPPER, gallery=people))["threshold"]
    for name in range(30):
        api.enroll(people, f"subject {name}", SMALL_HOPPER)
    after = identification(api.identify(HOPPER, gallery=people))
    assert after["gallery"]["subjects"] == 32
    assert after["threshold"]["distance"] < before["distance"]
    assert after["threshold"]["fmr"] < before["fmr"]


def test_an_fpir_of_the_caller_chooses_the_threshold(api: Api, people: str) -> None:
    strict, loose = (
        identification(api.identify(HOPPER, gallery=people, fpir=fpir))["threshold"] for fpir in ("0.002", "0.05")
    )
    assert (strict["fpir"], loose["fpir"]) == (pytest.approx(0.002), pytest.approx(0.05))
    assert strict["distance"] < loose["distance"]
    assert "default" not in {strict["source"], loose["source"]}


def test_a_threshold_of_the_caller_decides(api: Api, people: str) -> None:
    wide = identification(api.identify(HOPPER, gallery=people, threshold="4"))
    narrow = identification(api.identify(HOPPER_AGAIN, gallery=people, threshold="0.00001"))
    assert [candidate["subject_id"] for candidate in wide["faces"][0]["candidates"]] == ["hopper", "collins"]
    assert narrow["faces"][0]["identified"] is False
    assert wide["threshold"]["source"] == "request"
    assert wide["threshold"]["distance"] == 4


def test_an_fpir_and_a_threshold_together_contradict_each_other(api: Api, people: str) -> None:
    problem(api.identify(HOPPER, gallery=people, fpir="0.01", threshold="1"), 422, "invalid_request")


def test_an_fpir_finer_than_the_calibration_supports_is_refused(api: Api, people: str) -> None:
    problem(api.identify(HOPPER, gallery=people, fpir="1e-12"), 422, "unsupported_operating_point")


def test_a_subject_is_one_candidate_by_its_nearest_face(api: Api, gallery: str) -> None:
    _, nearest = answered(api.enroll(gallery, "hopper", SMALL_HOPPER, HOPPER), 201)["enrolled"]
    (candidate,) = api.candidates(HOPPER, gallery)
    assert candidate["face_id"] == nearest["face_id"]
    assert candidate["distance"] < 1e-3


def test_top_k_bounds_the_candidates_and_keeps_the_nearest(api: Api, gallery: str) -> None:
    for name, photo in variants(hopper()).items():
        api.enroll(gallery, name, photo)
    api.enroll(gallery, "exact", HOPPER)
    names = api.names(HOPPER, gallery, top_k="3")
    assert (names[0], len(names)) == ("exact", 3)
    assert len(api.candidates(HOPPER, gallery)) == 5
    assert len(api.candidates(HOPPER, gallery, top_k="6")) == 6


def test_metadata_comes_with_the_candidate(api: Api, people: str) -> None:
    api.describe(people, "hopper", {"rank": "Rear Admiral", "born": 1906})
    (candidate,) = api.candidates(HOPPER, people)
    assert candidate["metadata"] == {"rank": "Rear Admiral", "born": 1906}


def test_a_gallery_that_does_not_exist_is_not_found(api: Api, gallery: str) -> None:
    problem(api.identify(HOPPER, gallery=gallery), 404, "not_found")


def test_in_an_empty_gallery_nobody_is_identified(api: Api, gallery: str) -> None:
    api.create(gallery)
    body = identification(api.identify(HOPPER, gallery=gallery))
    assert body["faces"][0]["identified"] is False
    assert body["gallery"]["faces"] == 0


def test_an_image_without_a_face_cannot_be_identified(api: Api, people: str) -> None:
    problem(api.identify(NO_FACE, gallery=people), 422, "face_not_found")


def test_the_gallery_is_the_default_one_when_none_is_named(api: Api) -> None:
    answered(api.enroll("default", "hopper", HOPPER), 201)
    body = identification(api.identify(HOPPER_AGAIN))
    assert body["gallery"]["id"] == "default"
    assert body["faces"][0]["candidates"][0]["subject_id"] == "hopper"


def test_json_takes_a_base64_image(api: Api, people: str) -> None:
    fields = {"image": base64_of(COLLINS), "gallery": people, "top_k": 1, "faces": "largest"}
    (face,) = identification(api.http.post("/identify", json=fields))["faces"]
    assert face["candidates"][0]["subject_id"] == "collins"


def test_real_people_are_told_apart(api: Api, gallery: str) -> None:
    for name in ("obama", "biden"):
        answered(api.enroll(gallery, name, real(f"{name}.jpg")), 201)
    assert api.names(real("obama2.jpg"), gallery) == ["obama"]
    assert api.candidates(HOPPER, gallery) == []


def test_enrolments_at_once_are_all_found(api: Api, gallery: str) -> None:
    calls = [partial(api.enroll, gallery, f"subject {number}", SMALL_HOPPER) for number in range(12)]
    assert all(response.status_code == 201 for response in at_once(calls))
    body = answered(api.http.get(f"/galleries/{gallery}"))
    assert (body["subjects"], body["faces"]) == (12, 12)
    assert len(api.candidates(SMALL_HOPPER, gallery, top_k="12")) == 12
