"""Values are immutable, and qualities are computed as documented."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import read_only
from app.domain.embeddings import Embedding
from app.domain.faces import AlignedCrop, Box, Landmarks, Quality

SHARES = st.floats(0, 1)
POINTS = np.zeros((5, 2), np.float32)


def test_box_has_size_area_and_center() -> None:
    box = Box(left=-10, top=20, right=30, bottom=100)
    assert (box.width, box.height, box.area, box.center) == (40, 80, 3200, (10, 60))


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (POINTS, Landmarks(POINTS).points),
        (np.zeros((112, 112, 3), np.uint8), AlignedCrop(np.zeros((112, 112, 3), np.uint8), 1.0).pixels),
        (np.zeros(4, np.float32), Embedding(np.zeros(4, np.float32), "sha256:0").vector),
        (np.zeros(4), read_only(np.zeros(4))),
    ],
    ids=["landmarks", "crop", "embedding", "read_only"],
)
def test_arrays_in_values_are_read_only(array: np.ndarray, value: np.ndarray) -> None:
    assert np.array_equal(array, value)
    with pytest.raises(ValueError, match="read-only"):
        value[...] = 1


def test_values_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Box(0, 0, 1, 1).left = 5  # type: ignore[misc]


def test_values_with_arrays_are_compared_by_identity() -> None:
    one, other = Landmarks(POINTS), Landmarks(POINTS)
    assert one != other
    assert len({one, other}) == 2


@pytest.mark.parametrize("shape", [(4, 2), (5, 3), (10,), (1, 5, 2)])
def test_landmarks_must_be_five_points(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected five landmarks \(5, 2\), got"):
        Landmarks(np.zeros(shape, np.float32))


@given(size=SHARES, sharpness=SHARES, frontality=SHARES, inside=SHARES)
def test_overall_quality_is_the_worst_part(size: float, sharpness: float, frontality: float, inside: float) -> None:
    assert Quality(size, sharpness, frontality, inside).overall == min(size, sharpness, frontality, inside)
