"""POST /galleries/{g}/subjects/{s}/verify: whether this is the person enrolled under that name."""

import pytest

from tests.support.answers import answered, comparison, problem, verification
from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, NO_FACE, SMALL_HOPPER, base64_of

GALLERY = "subject-verify"


@pytest.fixture(scope="module")
def enrolled(api: Api) -> str:
    """A gallery with one subject, enrolled with two photos."""
    answered(api.enroll(GALLERY, "hopper", HOPPER, SMALL_HOPPER), 201)
    return GALLERY


def test_the_enrolled_person_matches_and_another_does_not(api: Api, enrolled: str) -> None:
    assert comparison(api.verify_subject(enrolled, "hopper", HOPPER_AGAIN))["match"] is True
    assert comparison(api.verify_subject(enrolled, "hopper", COLLINS))["match"] is False


def test_the_distance_is_to_the_nearest_enrolled_face(api: Api, enrolled: str) -> None:
    nearest = min(verification(api.verify(COLLINS, photo))["distance"] for photo in (HOPPER, SMALL_HOPPER))
    got = comparison(api.verify_subject(enrolled, "hopper", COLLINS))["distance"]
    assert got == pytest.approx(nearest, abs=1e-3)
    assert comparison(api.verify_subject(enrolled, "hopper", SMALL_HOPPER))["distance"] < 1e-3


def test_an_fmr_or_a_threshold_can_be_chosen_but_not_both(api: Api, enrolled: str) -> None:
    by_fmr = comparison(api.verify_subject(enrolled, "hopper", HOPPER, fmr="0.001"))
    by_threshold = comparison(api.verify_subject(enrolled, "hopper", COLLINS, threshold="4"))
    assert by_fmr["threshold"]["source"] == "fmr"
    assert by_threshold["threshold"]["source"] == "request"
    assert by_threshold["match"] is True
    both = api.verify_subject(enrolled, "hopper", HOPPER, fmr="0.001", threshold="1")
    problem(both, 422, "invalid_request")


def test_json_takes_a_base64_image(api: Api, enrolled: str) -> None:
    path = f"{subject_path(enrolled, 'hopper')}/verify"
    assert comparison(api.http.post(path, json={"image": base64_of(HOPPER)}))["match"] is True


def test_an_image_without_a_face_cannot_be_compared(api: Api, enrolled: str) -> None:
    problem(api.verify_subject(enrolled, "hopper", NO_FACE), 422, "face_not_found")


def test_an_unknown_subject_or_gallery_is_not_found(api: Api, enrolled: str) -> None:
    problem(api.verify_subject(enrolled, "nobody", HOPPER), 404, "not_found")
    problem(api.verify_subject("nowhere", "hopper", HOPPER), 404, "not_found")
