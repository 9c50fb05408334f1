"""POST /galleries/{g}/subjects/{s}/verify: whether this is the person enrolled under that name."""

import math

import pytest

from app.domain.identity import Scope
from app.matching.score_release import MAX_FMR
from tests.support.answers import answered, comparison, problem, verification
from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, NO_FACE, SMALL_HOPPER, base64_of

from .conftest import Service

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
    assert got == pytest.approx(math.ceil(10 * nearest) / 10)
    assert comparison(api.verify_subject(enrolled, "hopper", SMALL_HOPPER))["distance"] < 1e-3


def test_a_key_for_verifying_learns_a_step_or_the_bound_and_no_more(
    service: Service, keys: dict[str, str], enrolled: str
) -> None:
    api = Api(service.client(keys["verify"]))
    models = answered(api.http.get("/models"))
    match, other = (comparison(api.verify_subject(enrolled, "hopper", photo)) for photo in (HOPPER_AGAIN, COLLINS))
    steps = match["distance"] / models["distance_step"]
    assert (steps, models["distance_step"]) == (pytest.approx(round(steps)), 0.1)
    assert (match["match"], other["match"]) == (True, False)
    assert 0 < other["distance"] - models["max_threshold"] <= 0.1
    assert (other["probability"], other["face_id"]) == (None, None)


def test_a_key_for_verifying_cannot_tell_which_subjects_exist(
    service: Service, keys: dict[str, str], enrolled: str
) -> None:
    api = Api(service.client(keys["verify"]))
    existing, *missing = (
        comparison(api.verify_subject(gallery, subject, COLLINS))
        for gallery, subject in [(enrolled, "hopper"), (enrolled, "nobody"), (enrolled, "a"), (enrolled, "zoe")]
    )
    for answer in missing:
        del answer["subject_id"], answer["timings_ms"], answer["request_id"]
        assert answer == {name: existing[name] for name in answer}
        assert existing.keys() - answer.keys() == {"subject_id", "timings_ms", "request_id"}
    assert comparison(api.verify_subject("nowhere", "hopper", COLLINS))["match"] is False
    problem(api.verify_subject(enrolled, "nobody", NO_FACE), 422, "face_not_found")
    problem(api.verify_subject(enrolled, "nobody", HOPPER, threshold="4"), 422, "invalid_request")


@pytest.mark.parametrize("scope", ["enroll", "erase", "export"])
def test_a_key_that_may_know_the_subjects_is_told_that_one_does_not_exist(
    service: Service, enrolled: str, scope: str
) -> None:
    api = Api(service.client(service.new_key(Scope.VERIFY, Scope(scope))))
    problem(api.verify_subject(enrolled, "nobody", HOPPER), 404, "not_found")


def test_a_rate_is_told_as_it_was_asked_for(api: Api, enrolled: str) -> None:
    thresholds = [
        comparison(api.verify_subject(enrolled, "hopper", HOPPER, **fields))["threshold"]
        for fields in ({}, {"fmr": "0.0001"}, {"fmr": "0.03"})
    ]
    assert [threshold["fmr"] for threshold in thresholds] == [0.0001, 0.0001, 0.03]


def test_a_rate_finer_than_the_calibration_supports_is_repeated_as_it_was_sent(api: Api, enrolled: str) -> None:
    refused = problem(api.verify_subject(enrolled, "hopper", HOPPER, fmr="1e-9"), 422, "unsupported_operating_point")
    assert refused["detail"].startswith("expected fmr of at least ")
    assert refused["detail"].endswith(", got 1e-09")


@pytest.mark.parametrize("field", [{"threshold": "4"}, {"threshold": "1.4"}, {"fmr": "0.5"}], ids=str)
def test_a_key_for_verifying_may_not_widen_the_threshold(
    service: Service, keys: dict[str, str], enrolled: str, field: dict[str, str]
) -> None:
    api = Api(service.client(keys["verify"]))
    body = problem(api.verify_subject(enrolled, "hopper", HOPPER, **field), 422, "invalid_request")
    model = comparison(api.verify_subject(enrolled, "hopper", HOPPER))["model"]["id"]
    rates = answered(api.http.get(f"/models/{model}/calibration"))["rates"]
    largest = max(rate["threshold"] for rate in rates if rate["fmr"] is not None and rate["fmr"] <= MAX_FMR)
    assert f"expected a threshold of at most {largest:.4g} against enrolled faces" in body["detail"]
    assert [error["field"] for error in body["errors"]] == list(field)


def test_a_threshold_between_two_steps_acts_as_the_step_below(
    service: Service, keys: dict[str, str], enrolled: str
) -> None:
    api = Api(service.client(keys["verify"]))
    assert comparison(api.verify_subject(enrolled, "hopper", HOPPER, threshold="0.99"))["threshold"]["distance"] == 0.9


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
