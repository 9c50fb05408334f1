"""Faces that the photo's edge cuts: facenet-pytorch's boxes, with landmarks where they are in the whole photo."""

import numpy as np
import pytest

from app.domain.nouns import Face, Floats, Pixels
from app.faces.mtcnn.cascade import CascadeOptions, Mtcnn
from app.faces.mtcnn.nets import OutputNet, ProposalNet, RefineNet

Nets = tuple[ProposalNet, RefineNet, OutputNet]
PEOPLE = pytest.mark.parametrize("person", ["hopper", "collins"])
EYES = 35.2  # their distance in the 112 px crop
TIGHT = 1.2  # half a tight photo's side, in distances of the eyes


@pytest.fixture
def portrait(request: pytest.FixtureRequest, person: str) -> Pixels:
    photo: Pixels = request.getfixturevalue(person)
    return photo


def tightly_cut(photo: Pixels, face: Face) -> tuple[Pixels, Floats]:
    """The photo cut round the face, and the landmarks in it."""
    points = face.landmarks.points
    centre, half = points.mean(0), TIGHT * np.linalg.norm(points[1] - points[0])
    (left, top), (right, bottom) = (centre - half).astype(int), (centre + half).astype(int)
    return np.ascontiguousarray(photo[top:bottom, left:right]), points - np.float32([left, top])


def off(found: Floats, true: Floats) -> float:
    """Root mean square of the landmarks' errors, in pixels of the aligned crop."""
    scale = EYES / np.linalg.norm(true[1] - true[0])
    return float(scale * np.sqrt(((found - true) ** 2).sum(1).mean()))


@PEOPLE
def test_landmarks_in_a_tight_photo_are_those_of_the_whole(nets: Nets, portrait: Pixels) -> None:
    (face,) = Mtcnn(*nets).detect(portrait)
    photo, true = tightly_cut(portrait, face)

    (ours,), (theirs,) = (Mtcnn(*nets, CascadeOptions(second_look=look)).detect(photo) for look in (True, False))

    assert off(ours.landmarks.points, true) < 1.5
    assert off(theirs.landmarks.points, true) > 5
    assert (ours.box, ours.confidence) == (theirs.box, theirs.confidence)


@PEOPLE
def test_a_face_within_the_photo_is_looked_at_once(nets: Nets, portrait: Pixels) -> None:
    (ours,), (theirs,) = (Mtcnn(*nets, CascadeOptions(second_look=look)).detect(portrait) for look in (True, False))

    assert np.array_equal(ours.landmarks.points, theirs.landmarks.points)
