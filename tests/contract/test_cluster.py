"""POST /cluster: photos are grouped by person, as `likeness cluster` does."""

from typing import Any

import httpx2
import pytest

from tests.support.answers import answered, assert_is_model, assert_is_problem, assert_is_threshold, problem
from tests.support.api import Api, part
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, HOPPER_AGAIN, NO_FACE, base64_of, one_colour, png


def cluster(api: Api, *images: bytes, **fields: Any) -> httpx2.Response:
    return api.post("/cluster", *(part("image", image) for image in images), **fields)


def test_photos_of_one_person_are_one_group(api: Api) -> None:
    body = answered(cluster(api, COLLINS, HOPPER, COLLINS_AGAIN, HOPPER_AGAIN, HOPPER))
    assert body["groups"] == [[1, 3, 4], [0, 2]]
    assert body["rejected"] == []
    assert_is_threshold(body["threshold"])
    assert_is_model(body["model"])


def test_a_photo_without_a_face_is_rejected_and_the_others_are_grouped(api: Api) -> None:
    body = answered(cluster(api, NO_FACE, HOPPER, b"no image", HOPPER_AGAIN))
    assert body["groups"] == [[1, 3]]
    assert [each["index"] for each in body["rejected"]] == [0, 2]
    assert_is_problem(body["rejected"][0]["problem"], "face_not_found")


def test_only_bad_photos_make_no_group(api: Api) -> None:
    assert answered(cluster(api, NO_FACE, b"no image"))["groups"] == []


def test_the_threshold_of_the_request_decides(api: Api) -> None:
    body = answered(cluster(api, HOPPER, HOPPER_AGAIN, threshold=0.0001))
    assert body["groups"] == [[0], [1]]
    assert body["threshold"]["source"] == "request"


@pytest.mark.slow
def test_more_photos_than_wait_at_a_time_are_grouped(api: Api) -> None:
    small = png(one_colour().resize((40, 40)))
    assert answered(cluster(api, *[small] * 90, HOPPER, HOPPER))["groups"] == [[90, 91]]


def test_json_takes_a_list(api: Api) -> None:
    body = {"image": [base64_of(HOPPER), base64_of(COLLINS), base64_of(HOPPER)]}
    assert answered(api.http.post("/cluster", json=body))["groups"] == [[0, 2], [1]]


def test_more_than_500_photos_are_refused(api: Api) -> None:
    problem(cluster(api, *[b"no image"] * 501), 422, "too_many_fields")
    assert len(answered(cluster(api, *[b"no image"] * 500))["rejected"]) == 500
