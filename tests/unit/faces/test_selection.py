import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import FaceNotFound, MultipleFaces
from app.domain.faces import Box, Face, Landmarks
from app.faces.selection import TIE, ConfidentFaces, FaceRule, choose

SHAPE = (600, 1000)
RULES: list[FaceRule] = ["largest", "center", "only"]
SIZES = st.floats(1, 300)


def face(x: float, y: float, side: float) -> Face:
    """Return a square face with its centre at (x, y)."""
    half = side / 2
    return Face(Box(x - half, y - half, x + half, y + half), Landmarks(np.zeros((5, 2), np.float32)), 0.9)


FACES = st.lists(st.builds(face, st.floats(0, 1000), st.floats(0, 600), SIZES), min_size=1, max_size=6)


@pytest.mark.parametrize("rule", RULES)
def test_a_photo_without_a_face_has_none_to_choose(rule: FaceRule) -> None:
    with pytest.raises(FaceNotFound):
        choose([], rule, SHAPE)


@pytest.mark.parametrize("rule", RULES)
def test_the_only_face_is_chosen_wherever_it_is(rule: FaceRule) -> None:
    alone = face(5, 5, 20)
    assert choose([alone], rule, SHAPE) is alone


def test_only_refuses_several_faces_and_returns_them() -> None:
    faces = [face(100, 100, 90), face(700, 300, 20)]
    with pytest.raises(MultipleFaces, match="expected one face, got 2") as refusal:
        choose(faces, "only", SHAPE)
    assert refusal.value.faces == tuple(faces)


HALF = Face(Box(450, 275, 550, 325), Landmarks(np.zeros((5, 2), np.float32)), 0.9)


@pytest.mark.parametrize(
    ("rule", "shape", "chosen", "other"),
    [
        pytest.param("largest", SHAPE, face(60, 60, 100), face(500, 300, 70), id="a face clearly larger"),
        pytest.param("largest", SHAPE, face(480, 300, 72), face(60, 60, 100), id="the central one of nearly equals"),
        pytest.param("largest", SHAPE, HALF, face(60, 60, 100), id="half the area is nearly equal"),
        pytest.param("center", SHAPE, face(530, 330, 10), face(460, 260, 300), id="the nearest to the middle"),
        pytest.param("center", (600, 1000), face(500, 550, 50), face(900, 300, 50), id="shape is height and width"),
        pytest.param("center", (600, 1800), face(900, 300, 50), face(500, 550, 50), id="a wide photo"),
    ],
)
def test_of_two_faces_the_rule_takes(rule: FaceRule, shape: tuple[int, int], chosen: Face, other: Face) -> None:
    assert TIE == 0.5
    assert choose([chosen, other], rule, shape) is choose([other, chosen], rule, shape) is chosen


@given(faces=FACES)
def test_the_largest_is_never_below_half_the_area_of_another(faces: list[Face]) -> None:
    chosen = choose(faces, "largest", SHAPE)
    assert chosen.box.area >= TIE * max(face.box.area for face in faces)


@given(faces=FACES, rule=st.sampled_from(["largest", "center"]))
def test_the_order_in_which_faces_are_found_does_not_matter(faces: list[Face], rule: FaceRule) -> None:
    forwards, backwards = choose(faces, rule, SHAPE), choose(faces[::-1], rule, SHAPE)
    assert distance_to_middle(forwards) == distance_to_middle(backwards)


def distance_to_middle(face: Face) -> float:
    x, y = face.box.center
    return float(np.hypot(x - 500, y - 300))


def of_confidence(confidence: float) -> Face:
    return Face(Box(0, 0, 9, 9), Landmarks(np.zeros((5, 2), np.float32)), confidence)


SURE, DOUBTFUL = of_confidence(0.99), of_confidence(0.7)


def test_the_largest_confident_faces_are_selected_up_to_the_limit() -> None:
    faces = [SURE, DOUBTFUL, SURE, SURE]
    assert ConfidentFaces().of(faces) == faces
    assert ConfidentFaces(0.9).of(faces) == [SURE, SURE, SURE]
    assert ConfidentFaces(0.9, limit=2).of(faces) == [SURE, SURE]
    assert ConfidentFaces(0.7, limit=9).of(faces) == faces


@pytest.mark.parametrize("faces", [[], [DOUBTFUL]])
def test_a_photo_without_a_confident_face_is_refused(faces: list[Face]) -> None:
    with pytest.raises(FaceNotFound):
        ConfidentFaces(0.9).of(faces)


def test_only_refuses_several_confident_faces_whatever_the_limit() -> None:
    assert ConfidentFaces(0.9, only=True).of([DOUBTFUL, SURE]) == [SURE]
    with pytest.raises(MultipleFaces):
        ConfidentFaces(0.9, limit=1, only=True).of([SURE, DOUBTFUL, SURE])
