"""Refined landmarks are nearer the truth; facenet-pytorch's boxes and landmarks do not change."""

import numpy as np
import pytest

from app.domain.arrays import Floats, Pixels
from app.domain.faces import Face
from app.faces.alignment import ARCFACE_112
from app.faces.detector import second_look
from app.faces.detector.mtcnn import CascadeOptions, Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet

Nets = tuple[ProposalNet, RefineNet, OutputNet]
PEOPLE = pytest.mark.parametrize("person", ["hopper", "collins"])
EYES = 35.2  # their distance in the 112 px crop
TIGHT = 1.2  # half a tight photo's side, in distances of the eyes


@pytest.fixture
def portrait(request: pytest.FixtureRequest, person: str) -> Pixels:
    photo: Pixels = request.getfixturevalue(person)
    return photo


def tightly_cut(photo: Pixels, face: Face) -> tuple[Pixels, Floats]:
    """Return the photo cut tightly around the face, and the landmarks in it."""
    points = face.landmarks.points
    center, half = points.mean(0), TIGHT * np.linalg.norm(points[1] - points[0])
    (left, top), (right, bottom) = (center - half).astype(int), (center + half).astype(int)
    return np.ascontiguousarray(photo[top:bottom, left:right]), points - np.array([left, top], np.float32)


def error_of(found: Floats, true: Floats) -> float:
    """Return the root mean square of the landmarks' errors, in pixels of the aligned crop."""
    scale = EYES / np.linalg.norm(true[1] - true[0])
    return float(scale * np.sqrt(((found - true) ** 2).sum(1).mean()))


@PEOPLE
def test_refined_landmarks_in_a_tight_photo_are_those_of_the_whole_photo(nets: Nets, portrait: Pixels) -> None:
    (face,) = Mtcnn(*nets).detect(portrait)
    photo, true = tightly_cut(portrait, face)
    (found,) = Mtcnn(*nets).detect(photo)
    assert error_of(found.points, true) < 1.5
    assert error_of(found.landmarks.points, true) > 5


@PEOPLE
def test_boxes_and_landmarks_of_facenet_pytorch_do_not_change(nets: Nets, portrait: Pixels) -> None:
    (ours,), (theirs,) = (Mtcnn(*nets, CascadeOptions(refine_landmarks=on)).detect(portrait) for on in (True, False))
    assert (ours.box, ours.confidence) == (theirs.box, theirs.confidence)
    assert np.array_equal(ours.landmarks.points, theirs.landmarks.points)
    assert theirs.refined is None
    assert np.array_equal(theirs.points, theirs.landmarks.points)


def test_landmarks_of_a_mirror_image_are_mirrored_back() -> None:
    straight = np.array([[(0.2, 0.4), (0.5, 0.42), (0.4, 0.6), (0.25, 0.8), (0.48, 0.82)]], np.float32)
    mirrored = np.array([[(0.5, 0.42), (0.8, 0.4), (0.6, 0.6), (0.52, 0.82), (0.75, 0.8)]], np.float32)
    assert np.allclose(second_look._mirror(mirrored), straight)


def plausible(points: Floats) -> bool:
    """Return whether they are in a box of 112 px."""
    return bool(second_look.plausible(np.array([[0, 0, 112, 112]], np.float32), points[None].astype(np.float32))[0])


@pytest.mark.parametrize("degrees", range(0, 360, 30))
def test_landmarks_of_a_face_are_plausible_at_any_turn_and_no_others(degrees: int) -> None:
    angle, center = np.radians(degrees), np.array([56, 56])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    face = np.array(ARCFACE_112) - center
    below_the_mouth = face.copy()
    below_the_mouth[2, 1] += 30
    assert plausible(face @ turn + center)
    for other in (face * [-1, 1], 0.5 * face, 1.5 * face, below_the_mouth):
        assert not plausible(other @ turn + center)


def test_a_face_with_landmarks_of_no_face_is_doubtful(
    nets: Nets, hopper: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    (face,) = Mtcnn(*nets).detect(hopper)
    monkeypatch.setattr(second_look, "EYES_TO_MOUTH", (0.6, 0.9))
    (other,) = Mtcnn(*nets).detect(hopper)
    assert (face.doubtful, other.doubtful) == (False, True)
