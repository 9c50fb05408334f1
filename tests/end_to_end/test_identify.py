"""POST /identify: who of the enrolled people is this, and never a stranger's name."""

import pytest

from .contract import answered, identification, problem
from .likeness import at_once
from .photos import another, base64_of, collins, hopper, jpeg, noise, png, real, variants

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())


@pytest.fixture
def people(likeness, gallery):
    """A gallery with one photo of each person."""
    answered(likeness.enroll(gallery, "hopper", HOPPER), 201)
    answered(likeness.enroll(gallery, "collins", COLLINS), 201)
    return gallery


@pytest.mark.parametrize(("person", "name"), [(hopper, "hopper"), (collins, "collins")])
def test_an_enrolled_person_is_identified_by_another_photo(likeness, people, person, name):
    body = identification(likeness.identify(another(person()), gallery=people))
    (face,) = body["faces"]
    assert face["identified"] is True
    assert [candidate["subject_id"] for candidate in face["candidates"]] == [name]
    assert face["candidates"][0]["probability"] > 0.9


def test_a_stranger_is_not_identified_and_that_is_no_error(likeness, gallery):
    likeness.enroll(gallery, "collins", COLLINS)
    body = identification(likeness.identify(HOPPER, gallery=gallery))
    assert body["faces"][0]["identified"] is False
    assert body["faces"][0]["candidates"] == []


def test_the_answer_names_the_gallery_and_its_size(likeness, people):
    size = identification(likeness.identify(HOPPER, gallery=people))["gallery"]
    assert (size["id"], size["subjects"], size["faces"]) == (people, 2, 2)


def test_the_default_threshold_promises_a_rate_of_strangers_named(likeness, people):
    threshold = identification(likeness.identify(HOPPER, gallery=people))["threshold"]
    assert threshold["source"] == "default"
    assert threshold["fpir"] == pytest.approx(0.01)
    assert 0 < threshold["fmr"] <= 0.01


def test_the_default_threshold_tightens_as_the_gallery_grows(likeness, people):
    before = identification(likeness.identify(HOPPER, gallery=people))["threshold"]
    at_once([lambda name=name: likeness.enroll(people, f"subject {name}", HOPPER) for name in range(30)])
    after = identification(likeness.identify(HOPPER, gallery=people))
    assert after["gallery"]["subjects"] == 32
    assert after["threshold"]["distance"] < before["distance"]
    assert after["threshold"]["fmr"] < before["fmr"]


def test_an_fpir_of_the_caller_chooses_the_threshold(likeness, people):
    strict, loose = (
        identification(likeness.identify(HOPPER, gallery=people, fpir=fpir))["threshold"] for fpir in ("0.002", "0.05")
    )
    assert (strict["fpir"], loose["fpir"]) == (pytest.approx(0.002), pytest.approx(0.05))
    assert strict["distance"] < loose["distance"]
    assert "default" not in {strict["source"], loose["source"]}


def test_a_threshold_of_the_caller_decides(likeness, people):
    wide = identification(likeness.identify(HOPPER, gallery=people, threshold="4"))
    narrow = identification(likeness.identify(another(hopper()), gallery=people, threshold="0.00001"))
    assert [candidate["subject_id"] for candidate in wide["faces"][0]["candidates"]] == ["hopper", "collins"]
    assert narrow["faces"][0]["identified"] is False
    assert wide["threshold"]["source"] == "request"
    assert wide["threshold"]["distance"] == 4


def test_an_fpir_and_a_threshold_together_contradict_each_other(likeness, people):
    problem(likeness.identify(HOPPER, gallery=people, fpir="0.01", threshold="1"), 422, "invalid_request")


def test_an_fpir_finer_than_the_calibration_supports_is_refused(likeness, people):
    problem(likeness.identify(HOPPER, gallery=people, fpir="1e-12"), 422, "unsupported_operating_point")


def test_a_subject_is_one_candidate_by_its_nearest_face(likeness, gallery):
    far, near = variants(hopper())["half the size"], HOPPER
    _, nearest = answered(likeness.enroll(gallery, "hopper", far, near), 201)["enrolled"]
    (candidate,) = likeness.candidates(HOPPER, gallery)
    assert candidate["face_id"] == nearest["face_id"]
    assert candidate["distance"] < 1e-3


def test_top_k_bounds_the_candidates_and_keeps_the_nearest(likeness, gallery):
    for name, photo in variants(hopper()).items():
        likeness.enroll(gallery, name, photo)
    likeness.enroll(gallery, "exact", HOPPER)
    names = [candidate["subject_id"] for candidate in likeness.candidates(HOPPER, gallery, top_k="3")]
    assert len(names) == 3
    assert names[0] == "exact"
    assert len(likeness.candidates(HOPPER, gallery)) == 5
    assert len(likeness.candidates(HOPPER, gallery, top_k="6")) == 6


@pytest.mark.parametrize("field", [{"top_k": "0"}, {"top_k": "-1"}, {"top_k": "two"}, {"faces": "each"}])
def test_a_field_out_of_bounds_is_refused(likeness, people, field):
    problem(likeness.identify(HOPPER, gallery=people, **field), 422, "invalid_request")


@pytest.mark.parametrize("field", [{"fpir": "2"}, {"fpir": "nan"}, {"threshold": "-1"}, {"threshold": "five"}])
def test_an_operating_point_out_of_bounds_is_refused(likeness, people, field):
    problem(likeness.identify(HOPPER, gallery=people, **field), 422, "invalid_request")


def test_metadata_comes_with_the_candidate(likeness, people):
    likeness.describe(people, "hopper", {"rank": "Rear Admiral", "born": 1906})
    (candidate,) = likeness.candidates(HOPPER, people)
    assert candidate["metadata"] == {"rank": "Rear Admiral", "born": 1906}


def test_a_gallery_that_does_not_exist_is_not_found(likeness, gallery):
    problem(likeness.identify(HOPPER, gallery=gallery), 404, "not_found")


def test_an_empty_gallery_knows_nobody(likeness, gallery):
    likeness.create(gallery)
    body = identification(likeness.identify(HOPPER, gallery=gallery))
    assert body["faces"][0]["identified"] is False
    assert body["gallery"]["faces"] == 0


def test_an_image_without_a_face_cannot_be_identified(likeness, people):
    problem(likeness.identify(png(noise()), gallery=people), 422, "face_not_found")


def test_the_gallery_is_the_default_one_when_none_is_named(likeness):
    answered(likeness.enroll("default", "hopper", HOPPER), 201)
    body = identification(likeness.identify(another(hopper())))
    assert body["gallery"]["id"] == "default"
    assert body["faces"][0]["candidates"][0]["subject_id"] == "hopper"


def test_json_takes_a_base64_image(likeness, people):
    fields = {"image": base64_of(COLLINS), "gallery": people, "top_k": 1, "faces": "largest"}
    (face,) = identification(likeness.http.post("/identify", json=fields))["faces"]
    assert face["candidates"][0]["subject_id"] == "collins"


def test_real_people_are_told_apart(likeness, gallery):
    for name in ("obama", "biden"):
        answered(likeness.enroll(gallery, name, real(f"{name}.jpg")), 201)
    (candidate,) = likeness.candidates(real("obama2.jpg"), gallery)
    assert candidate["subject_id"] == "obama"
    assert likeness.candidates(HOPPER, gallery) == []
