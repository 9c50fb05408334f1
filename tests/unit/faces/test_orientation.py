"""Faces of photos that were turned without EXIF are found, and their places told in the photo as it came."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from app.domain.arrays import Pixels
from app.domain.faces import Face
from app.faces.alignment import BoxAligner, LandmarkAligner
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions, Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from app.faces.orientation import detect_upright
from tests.support.templates import FACE
from training.evaluation.detection_recall import intersection_over_union

Nets = tuple[ProposalNet, RefineNet, OutputNet]
PEOPLE = pytest.mark.parametrize("person", ["hopper", "collins"])


@pytest.fixture(scope="module")
def serving(nets: Nets) -> Mtcnn:
    return Mtcnn(*nets, SERVING_OPTIONS)


@pytest.fixture
def portrait(request: pytest.FixtureRequest, person: str) -> Pixels:
    photo: Pixels = request.getfixturevalue(person)
    return photo


@dataclass
class Scripted:
    """A detector that finds these faces at its first, second, third and fourth call, and others in a search."""

    found: list[list[Face]]
    searched: list[Face] = field(default_factory=list)
    calls: int = 0

    def detect(self, image: Pixels) -> list[Face]:  # noqa: ARG002
        self.calls += 1
        return self.found[self.calls - 1]

    def search(self, image: Pixels) -> list[Face]:  # noqa: ARG002
        return self.searched


SURE, SURER = (replace(FACE, confidence=confidence) for confidence in (0.99, 0.999))
DOUBTFUL, PROBABLE = (replace(FACE, confidence=confidence, doubtful=True) for confidence in (0.9, 0.97))
PHOTO = np.zeros((40, 30, 3), np.uint8)


def turned(photo: Pixels, degrees: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(photo, -degrees // 90))


def tilted(photo: Pixels, degrees: float) -> Pixels:
    height, width = photo.shape[:2]
    side = int(np.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    return np.asarray(cv2.warpAffine(photo, matrix, (side, side)), np.uint8)


@PEOPLE
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_photo_has_the_face_of_the_upright_one(serving: Mtcnn, portrait: Pixels, degrees: int) -> None:
    (face,), came = detect_upright(serving, portrait, "auto"), turned(portrait, degrees)
    (found,) = detect_upright(serving, came, "auto")
    assert (face.rotated, found.rotated) == (0, 360 - degrees)
    marks = np.zeros_like(portrait)
    for number, (x, y) in enumerate(face.points.round().astype(int)):
        marks[y, x] = number + 1
    for number, (x, y) in enumerate(found.points.round().astype(int)):
        assert turned(marks, degrees)[y, x, 0] == number + 1
    assert found.box.area == pytest.approx(face.box.area)
    assert np.linalg.norm(np.array(found.box.center) - found.points.mean(0)) < found.box.width / 3
    for aligner in (LandmarkAligner(), BoxAligner(160, 14)):
        crops = [aligner.align(photo, each).pixels.astype(int) for photo, each in ((portrait, face), (came, found))]
        assert np.abs(crops[0] - crops[1]).mean() < 3


@PEOPLE
@pytest.mark.parametrize("degrees", [-90, -75, -60, -45, -30, 30, 45, 60, 75, 90])
def test_a_tilt_up_to_90_degrees_is_found(serving: Mtcnn, portrait: Pixels, degrees: int) -> None:
    (face,) = detect_upright(serving, portrait, "auto")
    found = max(detect_upright(serving, tilted(portrait, degrees), "auto"), key=lambda each: each.confidence)
    eyes = found.points[1] - found.points[0]
    true_eyes = face.points[1] - face.points[0]
    tilt = np.degrees(np.arctan2(eyes[1], eyes[0]) - np.arctan2(true_eyes[1], true_eyes[0]))
    assert abs((tilt - degrees + 180) % 360 - 180) < 12
    assert 0.8 < np.linalg.norm(eyes) / np.linalg.norm(true_eyes) < 1.25


def test_a_photo_with_a_face_beyond_doubt_is_not_turned() -> None:
    detector = Scripted([[DOUBTFUL, SURE]])
    assert detect_upright(detector, PHOTO, "auto") == [DOUBTFUL, SURE]
    assert detector.calls == 1


@pytest.mark.parametrize(("found", "rotated"), [([[], [SURE], [SURER], []], 270), ([[DOUBTFUL], [], [], [SURE]], 180)])
def test_the_turn_with_the_surest_face_wins(found: list[list[Face]], rotated: int) -> None:
    (face,) = detect_upright(Scripted(found), PHOTO, "auto")
    assert face.rotated == rotated


def test_a_doubtful_face_is_kept_if_no_turn_has_a_sure_one() -> None:
    assert detect_upright(Scripted([[DOUBTFUL], [DOUBTFUL], [], [DOUBTFUL]]), PHOTO, "auto") == [DOUBTFUL]


def test_a_probable_face_of_a_turn_is_taken_if_the_photo_has_none() -> None:
    (face,) = detect_upright(Scripted([[], [DOUBTFUL], [PROBABLE], []]), PHOTO, "auto")
    assert face.rotated == 270
    assert detect_upright(Scripted([[], [DOUBTFUL], [], []]), PHOTO, "auto") == []


def test_with_exif_the_photo_stays_as_it_came(serving: Mtcnn, hopper: Pixels) -> None:
    assert [face.rotated for face in detect_upright(serving, turned(hopper, 90), "exif")] in ([], [0])
    assert detect_upright(Scripted([[DOUBTFUL]]), PHOTO, "exif") == [DOUBTFUL]


def test_a_photo_without_a_face_is_searched_once_more() -> None:
    assert detect_upright(Scripted([[], [], [], []], searched=[SURE]), PHOTO, "auto") == [SURE]


def test_the_search_goes_through_their_levels_and_keeps_the_smallest_face(nets: Nets, hopper: Pixels) -> None:
    small = cv2.copyMakeBorder(cv2.resize(hopper, (75, 88)), 60, 60, 60, 60, cv2.BORDER_REPLICATE)
    (face,) = Mtcnn(*nets, CascadeOptions()).detect(np.asarray(small, np.uint8))
    assert 20 < face.box.width < 40
    assert Mtcnn(*nets, SERVING_OPTIONS).search(np.asarray(small, np.uint8)) == []
    (found,) = Mtcnn(*nets, SERVING_OPTIONS).search(hopper)
    assert intersection_over_union(found.box, Mtcnn(*nets, CascadeOptions()).detect(hopper)[0].box) > 0.99


def test_a_named_smallest_face_gives_their_cascade_and_no_other(nets: Nets, hopper: Pixels) -> None:
    assert Mtcnn(*nets, CascadeOptions(min_face=60)).search(hopper) == []
