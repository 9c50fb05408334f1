"""POST /embed: unit vectors, one result for each image, in the order sent."""

from typing import Any

import httpx2
import numpy as np
import pytest

from app.domain.arrays import Floats
from tests.support.answers import Body, answered, assert_is_face, assert_is_model, assert_is_problem, problem
from tests.support.api import Api
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, base64_of, collins, hopper, jpeg, scaled, side_by_side

SMALL = jpeg(scaled(hopper(), 0.25))


def results_of(response: httpx2.Response) -> list[Body]:
    body = answered(response)
    assert_is_model(body["model"])
    return list(body["results"])


def vectors(response: httpx2.Response) -> Floats:
    """Return the first face's vector of every image, (N, D)."""
    return np.array([result["faces"][0]["embedding"] for result in results_of(response)], np.float32)


def distance(first: Any, second: Any) -> float:
    return float(((np.asarray(first) - np.asarray(second)) ** 2).sum())


def test_an_embedding_is_a_unit_vector_and_comes_with_its_face(api: Api) -> None:
    (result,) = results_of(api.embed(HOPPER))
    (face,) = result["faces"]
    assert_is_face(face)
    assert result["error"] is None
    assert len(face["embedding"]) >= 64
    assert np.isfinite(face["threshold_offset"])
    np.testing.assert_allclose(np.linalg.norm(face["embedding"]), 1, atol=1e-4)


def test_there_is_one_result_for_each_image_in_the_order_sent(api: Api) -> None:
    both = vectors(api.embed(HOPPER, COLLINS))
    np.testing.assert_allclose(both[0], vectors(api.embed(HOPPER))[0], atol=1e-4)
    np.testing.assert_allclose(both[1], vectors(api.embed(COLLINS))[0], atol=1e-4)
    assert distance(*both) > 1


def test_photos_of_one_person_are_nearer_than_of_two(api: Api) -> None:
    one, again, other = vectors(api.embed(HOPPER, HOPPER_AGAIN, COLLINS))
    assert distance(one, again) < distance(one, other) / 2


def test_a_repeated_image_is_answered_each_time(api: Api) -> None:
    first, second, third = vectors(api.embed(HOPPER, HOPPER, HOPPER))
    assert distance(first, second) < 1e-4
    assert distance(second, third) < 1e-4


def test_an_image_that_fails_has_its_problem_and_the_others_stand(api: Api) -> None:
    good, bad, also_good = results_of(api.embed(HOPPER, b"no image at all", COLLINS))
    assert_is_problem(bad["error"], "invalid_image")
    assert bad["faces"] == []
    assert [len(result["faces"]) for result in (good, also_good)] == [1, 1]
    assert [result["error"] for result in (good, also_good)] == [None, None]


def test_the_largest_face_is_embedded_by_default_and_all_if_asked(api: Api) -> None:
    two = jpeg(side_by_side(hopper(), collins()))
    (largest,) = results_of(api.embed(two))[0]["faces"]
    first, second = (face["embedding"] for face in results_of(api.embed(two, faces="all"))[0]["faces"])
    assert distance(largest["embedding"], vectors(api.embed(HOPPER))[0]) < 0.5
    assert distance(first, second) > 1


def test_32_images_are_accepted_and_33_refused(api: Api) -> None:
    assert len(results_of(api.embed(*[SMALL] * 32))) == 32
    problem(api.embed(*[SMALL] * 33), 422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"image": []}, {"image": [1]}, {"image": None}])
def test_an_image_is_needed(api: Api, body: Any) -> None:
    problem(api.http.post("/embed", json=body), 422, "invalid_request")


def test_an_unknown_choice_of_faces_is_refused(api: Api) -> None:
    problem(api.embed(HOPPER, faces="some"), 422, "invalid_request")


def test_json_takes_a_list_of_images(api: Api) -> None:
    response = api.http.post("/embed", json={"image": [base64_of(HOPPER), base64_of(COLLINS)]})
    np.testing.assert_allclose(vectors(response), vectors(api.embed(HOPPER, COLLINS)), atol=1e-4)
