"""POST /compare: one photo against up to 32 others, each with a result or its own problem."""

from typing import Any

import httpx2
import pytest

from tests.support.answers import (
    answered,
    assert_are_timings,
    assert_is_face,
    assert_is_model,
    assert_is_problem,
    assert_is_threshold,
    problem,
    verification,
)
from tests.support.api import Api, part
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, NO_FACE, base64_of, hopper, jpeg, scaled

SMALL = jpeg(scaled(hopper(), 0.25))
COMPARED = ("match", "distance", "similarity", "probability", "threshold")


def compare(api: Api, image: bytes, *others: bytes, **fields: Any) -> httpx2.Response:
    return api.post("/compare", part("image", image), *(part("others", other) for other in others), **fields)


def test_each_photo_is_compared_as_verify_does(api: Api) -> None:
    body = answered(compare(api, HOPPER, HOPPER_AGAIN, COLLINS))
    assert_is_face(body["face"])
    assert_is_model(body["model"])
    assert_are_timings(body["timings_ms"])
    assert (body["metric"], body["face"]["image"]) == ("squared_l2", "image")
    assert [result["index"] for result in body["results"]] == [0, 1]
    assert [result["match"] for result in body["results"]] == [True, False]
    for result, other in zip(body["results"], (HOPPER_AGAIN, COLLINS), strict=True):
        pair = verification(api.verify(HOPPER, other))
        assert_is_threshold(result["threshold"])
        assert_is_face(result["face"])
        assert result["error"] is None
        assert result["distance"] == pytest.approx(pair["distance"], abs=1e-4)
        assert result["threshold"].keys() == pair["threshold"].keys()


def test_a_photo_that_fails_has_its_problem_and_the_others_stand(api: Api) -> None:
    results = answered(compare(api, HOPPER, NO_FACE, HOPPER_AGAIN, b"no image"))["results"]
    assert results[1]["match"]
    for index, code in ((0, "face_not_found"), (2, "invalid_image")):
        assert_is_problem(results[index]["error"], code)
        assert [results[index][name] for name in (*COMPARED, "face")] == [None] * 6


def test_without_a_face_in_the_photo_itself_nothing_is_compared(api: Api) -> None:
    assert problem(compare(api, NO_FACE, HOPPER), 422, "face_not_found")["image"] == "image"


def test_a_threshold_of_the_request_decides(api: Api) -> None:
    (result,) = answered(compare(api, HOPPER, HOPPER_AGAIN, threshold=0.0001))["results"]
    assert not result["match"]
    assert result["threshold"]["source"] == "request"


def test_json_takes_a_list_of_others(api: Api) -> None:
    body = {"image": base64_of(HOPPER), "others": [base64_of(COLLINS), base64_of(HOPPER_AGAIN)]}
    assert [each["match"] for each in answered(api.http.post("/compare", json=body))["results"]] == [False, True]


def test_32_others_are_accepted_and_33_refused(api: Api) -> None:
    assert len(answered(compare(api, SMALL, *[SMALL] * 32))["results"]) == 32
    problem(compare(api, SMALL, *[SMALL] * 33), 422, "too_many_fields")


@pytest.mark.parametrize("missing", ["image", "others"])
def test_both_fields_are_needed(api: Api, missing: str) -> None:
    body = {"image": base64_of(SMALL), "others": [base64_of(SMALL)]}
    del body[missing]
    problem(api.http.post("/compare", json=body), 422, "invalid_request")
