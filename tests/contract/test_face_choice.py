"""The caller chooses which of several faces is used, and every answer shows that there were several."""

from tests.support.answers import identification, overlap, problem, verification
from tests.support.api import Api, part
from tests.support.photos import (
    COLLINS,
    HOPPER,
    HOPPER_BOX,
    base64_of,
    jpeg,
    large_at_the_edge_small_in_the_centre,
    real,
)

TWO = jpeg(large_at_the_edge_small_in_the_centre())


def test_the_largest_face_is_taken_by_default_even_at_the_edge(api: Api) -> None:
    body = verification(api.verify(TWO, HOPPER))
    assert body["match"] is True
    assert overlap(body["faces"][0]["box"], HOPPER_BOX) > 0.7
    assert [face["faces_found"] for face in body["faces"]] == [2, 1]


def test_the_largest_or_the_central_face_can_be_asked_for(api: Api) -> None:
    assert verification(api.verify(TWO, HOPPER, face="largest"))["match"] is True
    assert verification(api.verify(TWO, COLLINS, face="largest"))["match"] is False
    assert verification(api.verify(TWO, COLLINS, face="center"))["match"] is True
    assert verification(api.verify(TWO, HOPPER, face="center"))["match"] is False


def test_only_refuses_an_image_with_several_faces_and_shows_their_boxes(api: Api) -> None:
    body = problem(api.verify(HOPPER, TWO, face="only"), 422, "multiple_faces")
    assert body["image"] == "image2"
    assert len(body["boxes"]) == 2
    assert any(overlap(box, HOPPER_BOX) > 0.7 for box in body["boxes"])


def test_only_accepts_images_with_one_face(api: Api) -> None:
    assert verification(api.verify(HOPPER, COLLINS, face="only"))["match"] is False


def test_the_choice_can_stand_in_the_query(api: Api) -> None:
    files = [part("image1", TWO), part("image2", COLLINS)]
    assert verification(api.http.post("/verify?face=center", files=files))["match"] is True
    problem(api.http.post("/verify?face=only", files=files), 422, "multiple_faces")


def test_the_choice_can_stand_in_the_json(api: Api) -> None:
    images = {"image1": base64_of(TWO), "image2": base64_of(COLLINS)}
    assert verification(api.http.post("/verify", json={**images, "face": "center"}))["match"] is True
    problem(api.http.post("/verify", json={**images, "face": "only"}), 422, "multiple_faces")


def test_identification_takes_the_largest_face_or_names_all(api: Api, gallery: str) -> None:
    api.enroll(gallery, "collins", COLLINS)
    body = identification(api.identify(TWO, gallery=gallery))
    assert body["faces_found"] == 2
    assert [face["identified"] for face in body["faces"]] == [False]

    api.enroll(gallery, "hopper", HOPPER)
    faces = identification(api.identify(TWO, gallery=gallery, faces="all"))["faces"]
    assert {face["candidates"][0]["subject_id"] for face in faces} == {"collins", "hopper"}


def test_only_refuses_a_real_photo_of_two_people(api: Api) -> None:
    body = problem(api.verify(real("obama.jpg"), real("two_people.jpg"), face="only"), 422, "multiple_faces")
    assert len(body["boxes"]) == 2
