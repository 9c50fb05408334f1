"""The second look: facenet-pytorch's boxes and landmarks stay; beside them are landmarks nearer the truth."""

import numpy as np
import pytest

from app.domain.models import Face, Floats, Pixels
from app.faces.mtcnn import cascade
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

    (found,) = Mtcnn(*nets).detect(photo)

    assert off(found.points, true) < 1.5
    assert off(found.landmarks.points, true) > 5


@PEOPLE
def test_what_facenet_pytorch_finds_stays_as_it_is(nets: Nets, portrait: Pixels) -> None:
    (ours,), (theirs,) = (Mtcnn(*nets, CascadeOptions(second_look=look)).detect(portrait) for look in (True, False))

    assert (ours.box, ours.confidence) == (theirs.box, theirs.confidence)
    assert np.array_equal(ours.landmarks.points, theirs.landmarks.points)
    assert theirs.refined is None
    assert np.array_equal(theirs.points, theirs.landmarks.points)


def test_landmarks_of_a_mirror_image_are_turned_back() -> None:
    """Of a face that turns to its left, at the left of the square."""
    straight = np.float32([[(0.2, 0.4), (0.5, 0.42), (0.4, 0.6), (0.25, 0.8), (0.48, 0.82)]])
    turned = np.float32([[(0.5, 0.42), (0.8, 0.4), (0.6, 0.6), (0.52, 0.82), (0.75, 0.8)]])

    assert np.allclose(cascade._mirrored(turned), straight)


def test_an_empty_photo_needs_no_second_look(nets: Nets) -> None:
    assert Mtcnn(*nets).detect(np.full((90, 120, 3), 128, np.uint8)) == []
