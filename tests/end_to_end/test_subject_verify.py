"""POST /galleries/{g}/subjects/{s}/verify: is this the person enrolled under that name?"""

import pytest

from .contract import answered, assert_is_comparison, problem, verification
from .likeness import subject_path
from .photos import another, base64_of, collins, hopper, jpeg, noise, png, variants

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
SMALLER = variants(hopper())["half the size"]


@pytest.fixture
def enrolled(likeness, gallery):
    """A gallery with one subject, enrolled with two photos."""
    answered(likeness.enroll(gallery, "hopper", HOPPER, SMALLER), 201)
    return gallery


def comparison(response):
    body = answered(response)
    assert_is_comparison(body)
    return body


def test_the_enrolled_person_matches(likeness, enrolled):
    assert comparison(likeness.verify_subject(enrolled, "hopper", another(hopper())))["match"] is True


def test_another_person_does_not_match(likeness, enrolled):
    assert comparison(likeness.verify_subject(enrolled, "hopper", COLLINS))["match"] is False


def test_the_distance_is_to_the_nearest_enrolled_face(likeness, enrolled):
    nearest = min(verification(likeness.verify(COLLINS, photo))["distance"] for photo in (HOPPER, SMALLER))
    assert comparison(likeness.verify_subject(enrolled, "hopper", COLLINS))["distance"] == pytest.approx(
        nearest, abs=1e-3
    )
    assert comparison(likeness.verify_subject(enrolled, "hopper", SMALLER))["distance"] < 1e-3


def test_an_fmr_or_a_threshold_can_be_chosen(likeness, enrolled):
    by_fmr = comparison(likeness.verify_subject(enrolled, "hopper", HOPPER, fmr="0.001"))
    by_threshold = comparison(likeness.verify_subject(enrolled, "hopper", COLLINS, threshold="4"))
    assert by_fmr["threshold"]["source"] == "fmr"
    assert by_threshold["threshold"]["source"] == "request"
    assert by_threshold["match"] is True


def test_an_fmr_and_a_threshold_together_contradict_each_other(likeness, enrolled):
    response = likeness.verify_subject(enrolled, "hopper", HOPPER, fmr="0.001", threshold="1")
    problem(response, 422, "invalid_request")


def test_json_takes_a_base64_image(likeness, enrolled):
    path = f"{subject_path(enrolled, 'hopper')}/verify"
    assert comparison(likeness.http.post(path, json={"image": base64_of(HOPPER)}))["match"] is True


def test_an_image_without_a_face_cannot_be_compared(likeness, enrolled):
    problem(likeness.verify_subject(enrolled, "hopper", png(noise())), 422, "face_not_found")


def test_an_unknown_subject_or_gallery_is_not_found(likeness, enrolled):
    problem(likeness.verify_subject(enrolled, "nobody", HOPPER), 404, "not_found")
    problem(likeness.verify_subject("nowhere", "hopper", HOPPER), 404, "not_found")
