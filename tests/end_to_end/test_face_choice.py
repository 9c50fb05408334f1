"""Which of several faces an answer is about is the caller's choice, and never silent."""

import pytest

from .contract import boxes_in, identification, overlap, problem, verification
from .likeness import part
from .photos import HOPPER_BOX, base64_of, collins, hopper, jpeg, large_at_the_edge_small_in_the_centre, real

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())
TWO = jpeg(large_at_the_edge_small_in_the_centre())


def test_the_largest_face_is_taken_by_default_even_at_the_edge(likeness):
    body = verification(likeness.verify(TWO, HOPPER))
    assert body["match"] is True
    assert overlap(body["faces"][0]["box"], HOPPER_BOX) > 0.7


def test_the_largest_face_can_be_asked_for(likeness):
    assert verification(likeness.verify(TWO, HOPPER, face="largest"))["match"] is True
    assert verification(likeness.verify(TWO, COLLINS, face="largest"))["match"] is False


def test_the_central_face_can_be_asked_for(likeness):
    assert verification(likeness.verify(TWO, COLLINS, face="center"))["match"] is True
    assert verification(likeness.verify(TWO, HOPPER, face="center"))["match"] is False


def test_the_number_of_faces_found_is_told(likeness):
    body = verification(likeness.verify(TWO, HOPPER))
    assert [face["faces_found"] for face in body["faces"]] == [2, 1]


def test_only_refuses_an_image_with_several_faces_and_shows_their_boxes(likeness):
    body = problem(likeness.verify(HOPPER, TWO, face="only"), 422, "multiple_faces")
    assert body["image"] == "image2"
    assert len(boxes_in(body)) == 2
    assert any(overlap(box, HOPPER_BOX) > 0.7 for box in boxes_in(body))


def test_only_accepts_images_with_one_face(likeness):
    assert verification(likeness.verify(HOPPER, COLLINS, face="only"))["match"] is False


def test_the_choice_can_stand_in_the_query(likeness):
    files = [part("image1", TWO), part("image2", COLLINS)]
    assert verification(likeness.http.post("/verify?face=center", files=files))["match"] is True
    problem(likeness.http.post("/verify?face=only", files=files), 422, "multiple_faces")


def test_the_choice_can_stand_in_the_json(likeness):
    images = {"image1": base64_of(TWO), "image2": base64_of(COLLINS)}
    assert verification(likeness.http.post("/verify", json={**images, "face": "center"}))["match"] is True
    problem(likeness.http.post("/verify", json={**images, "face": "only"}), 422, "multiple_faces")


@pytest.mark.parametrize("choice", ["best", "0"])
def test_an_unknown_choice_is_refused(likeness, choice):
    problem(likeness.verify(HOPPER, COLLINS, face=choice), 422, "invalid_request")


def test_identification_takes_the_largest_face_and_tells_of_the_others(likeness, gallery):
    likeness.enroll(gallery, "collins", COLLINS)
    body = identification(likeness.identify(TWO, gallery=gallery))
    assert body["faces_found"] == 2
    assert [face["identified"] for face in body["faces"]] == [False]


def test_identification_of_all_faces_names_each(likeness, gallery):
    likeness.enroll(gallery, "collins", COLLINS)
    likeness.enroll(gallery, "hopper", HOPPER)
    faces = identification(likeness.identify(TWO, gallery=gallery, faces="all"))["faces"]
    assert {face["candidates"][0]["subject_id"] for face in faces} == {"collins", "hopper"}


def test_only_refuses_a_real_photo_of_two_people(likeness):
    body = problem(likeness.verify(real("obama.jpg"), real("two_people.jpg"), face="only"), 422, "multiple_faces")
    assert len(boxes_in(body)) == 2
