"""The share of an aligned crop that comes from within the photo."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.faces.alignment import share_inside
from tests.support.geometry import ANGLES, COORDINATES, SCALES, similarity

SIDES = st.integers(1, 200)


@given(
    angle=ANGLES,
    scale=st.floats(0.4, 8),
    center=st.tuples(st.floats(-50, 250), st.floats(-50, 250)),
    shape=st.tuples(SIDES, SIDES),
)
def test_the_share_inside_is_that_of_a_white_photo_warped_on_black(
    angle: float, scale: float, center: tuple[float, float], shape: tuple[int, int]
) -> None:
    turn = similarity(angle, scale, (0, 0))
    transform = np.column_stack([turn[:, :2], 56 - turn[:, :2] @ center])
    white = cv2.warpAffine(np.ones(shape, np.float32), transform, (112, 112), flags=cv2.INTER_LINEAR)

    assert share_inside(transform, 112, shape) == pytest.approx(white.mean(), abs=0.02)


@given(angle=ANGLES, scale=SCALES, shift=st.tuples(COORDINATES, COORDINATES), shape=st.tuples(SIDES, SIDES))
def test_the_share_inside_is_a_share(
    angle: float, scale: float, shift: tuple[float, float], shape: tuple[int, int]
) -> None:
    assert 0 <= share_inside(similarity(angle, scale, shift), 112, shape) <= 1


@pytest.mark.parametrize(
    ("shift", "share"), [((0, 0), 1), ((0, 56), 0.5), ((-56, 0), 0.5), ((56, 56), 0.25), ((112, 0), 0), ((900, 0), 0)]
)
def test_the_share_inside_is_exact_on_whole_pixels(shift: tuple[int, int], share: float) -> None:
    assert share_inside(similarity(0, 1, shift), 112, (112, 112)) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(("shape", "share"), [((14, 14), 1), ((14, 7), 0.5), ((7, 7), 0.25)])
def test_pixels_of_an_enlarged_face_count_whole_up_to_their_edges(shape: tuple[int, int], share: float) -> None:
    eightfold = similarity(0, 8, (3.5, 3.5))  # the first pixel of the photo fills the first eight of the crop

    assert share_inside(eightfold, 112, shape) == pytest.approx(share, abs=1e-6)


def test_a_crop_of_less_than_a_pixel_of_the_photo_is_inside_it() -> None:
    assert share_inside(similarity(0, 200, (0, 0)), 112, (5, 5)) == pytest.approx(1, abs=1e-6)


def test_a_larger_photo_never_has_less_of_the_crop_inside() -> None:
    transform = similarity(0.4, 1.5, (-40, 10))

    shares = [share_inside(transform, 112, (side, side)) for side in range(10, 200, 10)]

    assert shares == sorted(shares)
