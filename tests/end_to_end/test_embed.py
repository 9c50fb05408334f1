"""POST /embed: unit vectors, one result an image, in the order sent."""

import numpy as np
import pytest

from .contract import answered, assert_is_face, assert_is_model, assert_is_problem, problem
from .photos import another, base64_of, collins, hopper, jpeg, scaled, side_by_side

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
SMALL = jpeg(scaled(hopper(), 0.5))


def results_of(response):
    body = answered(response)
    assert_is_model(body["model"])
    return body["results"]


def vectors(response):
    """The first face's vector of every image, (N, D)."""
    return np.array([result["faces"][0]["embedding"] for result in results_of(response)])


def distance(first, second):
    return float(((first - second) ** 2).sum())


def test_an_embedding_is_a_unit_vector(likeness):
    embeddings = vectors(likeness.embed(HOPPER, COLLINS))
    assert embeddings.shape[1] >= 64
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)


def test_an_embedding_comes_with_its_face(likeness):
    (result,) = results_of(likeness.embed(HOPPER))
    (face,) = result["faces"]
    assert_is_face(face)
    assert result["error"] is None


def test_one_result_an_image_in_the_order_sent(likeness):
    both = vectors(likeness.embed(HOPPER, COLLINS))
    np.testing.assert_allclose(both[0], vectors(likeness.embed(HOPPER))[0], atol=1e-4)
    np.testing.assert_allclose(both[1], vectors(likeness.embed(COLLINS))[0], atol=1e-4)
    assert distance(*both) > 1


def test_photos_of_one_person_are_nearer_than_of_two(likeness):
    one, again, other = vectors(likeness.embed(HOPPER, another(hopper()), COLLINS))
    assert distance(one, again) < distance(one, other) / 2


def test_a_repeated_image_is_answered_each_time(likeness):
    first, second, third = vectors(likeness.embed(HOPPER, HOPPER, HOPPER))
    assert distance(first, second) < 1e-4
    assert distance(second, third) < 1e-4


def test_an_image_that_fails_has_its_problem_and_the_others_stand(likeness):
    good, bad, also_good = results_of(likeness.embed(HOPPER, b"no image at all", COLLINS))
    assert_is_problem(bad["error"], "invalid_image")
    assert bad["faces"] == []
    assert [len(result["faces"]) for result in (good, also_good)] == [1, 1]
    assert [result["error"] for result in (good, also_good)] == [None, None]


def test_the_largest_face_is_embedded_by_default(likeness):
    two = jpeg(side_by_side(hopper(), collins()))
    (result,) = results_of(likeness.embed(two))
    (face,) = result["faces"]
    assert distance(np.array(face["embedding"]), vectors(likeness.embed(HOPPER))[0]) < 0.5


def test_all_faces_can_be_embedded(likeness):
    two = jpeg(side_by_side(hopper(), collins()))
    (result,) = results_of(likeness.embed(two, faces="all"))
    first, second = (np.array(face["embedding"]) for face in result["faces"])
    assert distance(first, second) > 1


def test_thirty_two_images_are_accepted(likeness):
    assert len(results_of(likeness.embed(*[SMALL] * 32))) == 32


def test_thirty_three_images_are_refused(likeness):
    problem(likeness.embed(*[SMALL] * 33), 422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"image": []}, {"image": [1]}, {"image": None}])
def test_an_image_is_needed(likeness, body):
    problem(likeness.http.post("/embed", json=body), 422, "invalid_request")


def test_an_unknown_choice_of_faces_is_refused(likeness):
    problem(likeness.embed(HOPPER, faces="some"), 422, "invalid_request")


def test_json_takes_a_list_of_images(likeness):
    response = likeness.http.post("/embed", json={"image": [base64_of(HOPPER), base64_of(COLLINS)]})
    np.testing.assert_allclose(vectors(response), vectors(likeness.embed(HOPPER, COLLINS)), atol=1e-4)
