"""POST /detect: where the faces are."""

import numpy as np
import pytest

from .contract import answered, assert_is_face, overlap, problem
from .photos import (
    COLLINS_BOX,
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
    with_alpha,
)


def faces_in(response):
    faces = answered(response)["faces"]
    for face in faces:
        assert_is_face(face)
    return faces


def test_a_portrait_has_one_face_where_the_face_is(likeness):
    (face,) = faces_in(likeness.detect(jpeg(hopper())))
    assert overlap(face["box"], HOPPER_BOX) > 0.7
    assert face["confidence"] > 0.9


def test_the_landmarks_are_both_eyes_the_nose_and_both_mouth_corners_from_the_left_of_the_image(likeness):
    (face,) = faces_in(likeness.detect(jpeg(hopper())))
    np.testing.assert_allclose(face["landmarks"], HOPPER_LANDMARKS, atol=10)


def test_a_frontal_sharp_large_face_has_good_quality(likeness):
    (face,) = faces_in(likeness.detect(jpeg(collins())))
    assert face["quality"]["inside"] == pytest.approx(1, abs=0.01)
    assert face["quality"]["overall"] > 0.2


def test_a_face_cut_by_the_edge_is_less_inside(likeness):
    cut = hopper().crop((170, 100, 356, 340))
    (whole,), (part,) = faces_in(likeness.detect(jpeg(hopper()))), faces_in(likeness.detect(jpeg(cut)))
    assert part["quality"]["inside"] < whole["quality"]["inside"]


def test_two_faces_side_by_side_are_both_found(likeness):
    faces = faces_in(likeness.detect(jpeg(side_by_side(hopper(), collins()))))
    left, right = sorted(face["box"] for face in faces)
    assert overlap(left, HOPPER_BOX) > 0.7
    assert overlap([right[0] - 512, right[1], right[2] - 512, right[3]], COLLINS_BOX) > 0.7


@pytest.mark.parametrize("factor", [2, 3])
def test_boxes_are_in_pixels_of_the_image_sent(likeness, factor):
    larger = hopper().resize((512 * factor, 600 * factor))
    (face,) = faces_in(likeness.detect(jpeg(larger)))
    assert overlap([edge / factor for edge in face["box"]], HOPPER_BOX) > 0.7


def test_boxes_are_in_pixels_of_the_upright_image(likeness):
    (face,) = faces_in(likeness.detect(exif_turned(hopper(), 6)))
    assert overlap(face["box"], HOPPER_BOX) > 0.7


@pytest.mark.parametrize("photo", [cat, one_colour, noise])
def test_an_image_without_a_face_has_an_empty_list(likeness, photo):
    assert faces_in(likeness.detect(png(photo()))) == []


def test_a_base64_image_has_the_faces_of_the_uploaded_one(likeness):
    by_form = faces_in(likeness.detect(jpeg(hopper())))
    by_json = faces_in(likeness.http.post("/detect", json={"image": base64_of(jpeg(hopper()))}))
    assert [face["box"] for face in by_json] == [face["box"] for face in by_form]


def test_transparency_does_not_hide_the_face(likeness):
    (face,) = faces_in(likeness.detect(png(with_alpha(hopper()))))
    assert overlap(face["box"], HOPPER_BOX) > 0.7


def test_detection_needs_an_image(likeness):
    problem(likeness.http.post("/detect", json={}), 422, "invalid_request")


def test_both_faces_of_a_real_photo_are_found(likeness):
    assert len(faces_in(likeness.detect(real("two_people.jpg")))) == 2
