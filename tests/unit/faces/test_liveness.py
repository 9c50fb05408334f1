"""The crops of the liveness networks are those of minivision's `generate_patches.py`, in the turn of the face."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Pixels
from app.domain.faces import Box, Face, Landmarks, Liveness
from app.faces.detector.mtcnn import Mtcnn
from app.faces.liveness import CropLiveness, cut, surroundings
from app.faces.orientation import detect_upright
from app.inference.liveness import open_liveness

PLACES = st.floats(-300, 900, width=32)
LENGTHS = st.floats(1, 1200, width=32)


def box_of(left: float, top: float, width: int, height: int) -> Box:
    """Return the detector's box that the source measures as so many pixels: it adds one."""
    return Box(left, top, left + width - 1, top + height - 1)


def liveness(models_dir: Path, threshold: float = 0.5) -> CropLiveness:
    return CropLiveness(open_liveness(models_dir / "pad", provider="cpu"), threshold)


def face_in(box: Box, rotated: int = 0) -> Face:
    return Face(box, Landmarks(np.zeros((5, 2), np.float32)), 1.0, rotated=rotated)


@pytest.mark.parametrize(
    ("photo", "box", "scale", "expected"),
    [
        ((480, 640), (300, 200, 60, 80), 2.7, (249, 132, 411, 348)),
        ((480, 640), (300, 200, 60, 80), 4.0, (210, 80, 450, 400)),
        ((600, 512), (170, 112, 183, 228), 2.7, (21, 0, 501, 599)),  # it does not fit: the scale is smaller
        ((600, 512), (170, 112, 183, 228), 4.0, (21, 0, 501, 599)),
        ((480, 640), (5, 7, 60, 80), 2.7, (0, 0, 162, 216)),  # moved into the photo at each edge
        ((480, 640), (570, 390, 60, 80), 4.0, (399, 159, 639, 479)),
        ((480, 640), (-20, -30, 90, 120), 2.7, (0, 0, 243, 324)),
        ((480, 640), (600, 420, 90, 120), 4.0, (279, 0, 639, 479)),
        ((412, 291), (-112, -4, 409, 452), 2.7, (0, 61, 290, 382)),  # the box is larger than the photo
        ((250, 250), (68, 66, 110, 139), 4.0, (24, 0, 221, 249)),
        ((47, 33), (3, 4, 5, 6), 4.0, (0, 0, 20, 24)),
    ],
)
def test_the_surroundings_are_those_that_the_source_computes(
    photo: tuple[int, int], box: tuple[int, int, int, int], scale: float, expected: tuple[int, int, int, int]
) -> None:
    """The expected corners were computed by the source's own code (minivision-ai/Silent-Face-Anti-Spoofing)."""
    assert surroundings(box_of(*box), scale, *photo) == expected


def test_a_part_of_a_pixel_is_cut_off_as_in_the_source() -> None:
    assert surroundings(Box(300.9, 200.9, 359.95, 279.95), 2.7, 480, 640) == surroundings(
        box_of(300, 200, 60, 80), 2.7, 480, 640
    )


@given(
    left=PLACES, top=PLACES, width=LENGTHS, height=LENGTHS, scale=st.sampled_from([2.7, 4.0]), side=st.integers(1, 600)
)
def test_surroundings_lie_in_the_photo(
    left: float, top: float, width: float, height: float, scale: float, side: int
) -> None:
    first, upper, last, lower = surroundings(Box(left, top, left + width, top + height), scale, side, 2 * side)
    assert 0 <= first <= last <= 2 * side - 1
    assert 0 <= upper <= lower <= side - 1


def test_a_crop_is_resized_with_both_ends(hopper: Pixels) -> None:
    crop = cut(hopper, box_of(170, 112, 60, 80), 2.7, 80)
    left, top, right, bottom = surroundings(box_of(170, 112, 60, 80), 2.7, *hopper.shape[:2])
    assert np.array_equal(crop, cv2.resize(hopper[top : bottom + 1, left : right + 1], (80, 80)))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_is_looked_at_in_the_turn_of_its_face(
    models_dir: Path, detector: Mtcnn, collins: Pixels, turns: int
) -> None:
    judge, turned = liveness(models_dir), np.ascontiguousarray(np.rot90(collins, turns))
    upright, sideways = (detect_upright(detector, photo, "auto") for photo in (collins, turned))
    (expected,), (found,) = judge.assess(collins, upright), judge.assess(turned, sideways)
    assert sideways[0].rotated == 90 * turns
    assert found.score == pytest.approx(expected.score, abs=2e-3)
    lying = judge.assess(turned, [Face(sideways[0].box, sideways[0].landmarks, 1.0)])  # as if it were upright
    assert abs(lying[0].score - expected.score) > 0.05


def test_a_face_is_judged_by_the_threshold(models_dir: Path, detector: Mtcnn, collins: Pixels) -> None:
    faces = detector.detect(collins)
    (judged,) = liveness(models_dir, 0).assess(collins, faces)
    assert 0.5 < judged.score < 1
    assert judged.score == round(judged.score, 4)
    above = liveness(models_dir, judged.score + 1e-4)
    assert liveness(models_dir, judged.score).assess(collins, faces) == [Liveness(judged.score, live=True)]
    assert above.assess(collins, faces) == [Liveness(judged.score, live=False)]


def test_faces_are_judged_in_order_and_none_is_no_work(models_dir: Path, collins: Pixels) -> None:
    judge, boxes = liveness(models_dir), [box_of(180, 60, 90, 120), box_of(20, 300, 60, 80), box_of(400, 20, 50, 50)]
    alone = [judge.assess(collins, [face_in(box)])[0].score for box in boxes]
    together = [each.score for each in judge.assess(collins, [face_in(box) for box in boxes])]
    assert together == pytest.approx(alone, abs=1e-4)
    assert len(set(together)) == 3
    assert judge.assess(collins, []) == []
