"""POST /detect: where the faces are."""

from base64 import b64decode
from collections.abc import Callable
from io import BytesIO

import httpx2
import numpy as np
import pytest
from PIL import Image

from tests.support.answers import Body, answered, assert_is_face, overlap, problem
from tests.support.api import Api
from tests.support.photos import (
    COLLINS,
    COLLINS_BOX,
    HOPPER,
    HOPPER_BOX,
    HOPPER_LANDMARKS,
    base64_of,
    cat,
    collins,
    exif_turned,
    hopper,
    jpeg,
    noise,
    one_colour,
    png,
    real,
    side_by_side,
)


def faces_in(response: httpx2.Response) -> list[Body]:
    faces: list[Body] = answered(response)["faces"]
    for face in faces:
        assert_is_face(face)
    return faces


def test_a_portrait_has_one_face_where_the_face_is(api: Api) -> None:
    (face,) = faces_in(api.detect(HOPPER))
    assert overlap(face["box"], HOPPER_BOX) > 0.7
    assert face["confidence"] > 0.9
    # both eyes, the nose and both mouth corners, from the left of the image
    np.testing.assert_allclose(face["landmarks"], HOPPER_LANDMARKS, atol=10)


def test_a_frontal_sharp_large_face_has_good_quality(api: Api) -> None:
    (face,) = faces_in(api.detect(COLLINS))
    assert face["quality"]["inside"] == pytest.approx(1, abs=0.01)
    assert face["quality"]["overall"] > 0.2


def test_a_face_cut_by_the_edge_is_less_inside(api: Api) -> None:
    cut = hopper().crop((170, 100, 356, 340))
    (whole,), (part,) = faces_in(api.detect(HOPPER)), faces_in(api.detect(jpeg(cut)))
    assert part["quality"]["inside"] < whole["quality"]["inside"]


def test_two_faces_side_by_side_are_both_found(api: Api) -> None:
    faces = faces_in(api.detect(jpeg(side_by_side(hopper(), collins()))))
    left, right = sorted(face["box"] for face in faces)
    assert overlap(left, HOPPER_BOX) > 0.7
    assert overlap([right[0] - 512, right[1], right[2] - 512, right[3]], COLLINS_BOX) > 0.7


@pytest.mark.parametrize("factor", [2, 3])
def test_boxes_are_in_pixels_of_the_image_sent(api: Api, factor: int) -> None:
    larger = hopper().resize((512 * factor, 600 * factor))
    (face,) = faces_in(api.detect(jpeg(larger)))
    assert overlap([edge / factor for edge in face["box"]], HOPPER_BOX) > 0.7


def test_boxes_are_in_pixels_of_the_upright_image(api: Api) -> None:
    (face,) = faces_in(api.detect(exif_turned(hopper(), 6)))
    assert overlap(face["box"], HOPPER_BOX) > 0.7


@pytest.mark.parametrize("photo", [cat, one_colour, noise])
def test_an_image_without_a_face_has_an_empty_list(api: Api, photo: Callable[[], Image.Image]) -> None:
    assert faces_in(api.detect(png(photo()))) == []


def test_a_base64_image_has_the_faces_of_the_uploaded_one(api: Api) -> None:
    by_json = faces_in(api.http.post("/detect", json={"image": base64_of(HOPPER)}))
    assert [face["box"] for face in by_json] == [face["box"] for face in faces_in(api.detect(HOPPER))]


def test_detection_needs_an_image(api: Api) -> None:
    problem(api.http.post("/detect", json={}), 422, "invalid_request")


def test_both_faces_of_a_real_photo_are_found(api: Api) -> None:
    assert len(faces_in(api.detect(real("two_people.jpg")))) == 2


def test_crops_are_aligned_pictures_of_each_face(api: Api) -> None:
    body = answered(api.detect(jpeg(side_by_side(hopper(), collins())), crops="true"))
    crops = [Image.open(BytesIO(b64decode(face["crop"]))) for face in body["faces"]]
    assert [(crop.format, crop.size) for crop in crops] == [("JPEG", (112, 112))] * 2
    assert len(answered(api.detect(b64decode(body["faces"][0]["crop"])))["faces"]) == 1


def test_without_asking_there_are_no_crops(api: Api) -> None:
    (face,) = answered(api.detect(HOPPER))["faces"]
    assert face["crop"] is None
    problem(api.detect(HOPPER, crops="maybe"), 422, "invalid_request")
