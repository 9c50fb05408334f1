from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Floats
from app.faces.detector.nms import apply_offsets, clipped_windows, nms, to_square

Mode = Literal["union", "min"]
MODES = st.sampled_from(["union", "min"])
OVERLAPS = st.sampled_from(["0.3", "0.5", "0.7"])
SIDES = st.integers(0, 12)  # small whole numbers: overlaps of exactly the limit are common
BOXES = st.lists(st.tuples(st.integers(-5, 12), st.integers(-5, 12), SIDES, SIDES, st.integers(1, 5)), max_size=14)
FLOATS = st.floats(-500, 500, width=32)


def arrays(boxes: list[tuple[int, ...]]) -> tuple[Floats, Floats]:
    """Convert left, top, width, height and fifths of confidence to corners (N, 4) and confidences (N,)."""
    given = np.array(boxes, np.float32).reshape(-1, 5)
    return np.hstack([given[:, :2], given[:, :2] + given[:, 2:4]]), given[:, 4] / np.float32(5)


def naive_nms(boxes: Floats, confidences: Floats, overlap: str, mode: Mode) -> list[int]:
    """Apply the definition in a loop, in exact arithmetic."""
    extra = 1 if mode == "min" else 0
    kept: list[int] = []
    for index in by_confidence(confidences, mode):
        if all(overlap_of(boxes[index], boxes[better], extra, mode) <= Fraction(overlap) for better in kept):
            kept.append(index)
    return kept


def by_confidence(confidences: Floats, mode: Mode) -> list[int]:
    """Sort as torchvision does, the first of equals first; or by NumPy's unstable sort, reversed."""
    stable = sorted(range(len(confidences)), key=lambda i: -confidences[i])
    return np.argsort(confidences)[::-1].tolist() if mode == "min" else stable


def overlap_of(a: Floats, b: Floats, extra: int, mode: Mode) -> Fraction:
    def area(left: float, top: float, right: float, bottom: float) -> int:
        return max(0, int(right - left) + extra) * max(0, int(bottom - top) + extra)

    shared = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    whole = min(area(*a), area(*b)) if mode == "min" else area(*a) + area(*b) - shared
    return Fraction(shared, whole) if whole else Fraction(0)


@given(boxes=BOXES, overlap=OVERLAPS, mode=MODES)
def test_nms_keeps_the_boxes_that_a_naive_loop_keeps(boxes: list[tuple[int, ...]], overlap: str, mode: Mode) -> None:
    corners, confidences = arrays(boxes)
    kept = nms(corners, confidences, float(overlap), mode)
    assert kept.tolist() == naive_nms(corners, confidences, overlap, mode)


@given(boxes=BOXES, overlap=OVERLAPS, mode=MODES)
def test_boxes_kept_once_are_kept_again(boxes: list[tuple[int, ...]], overlap: str, mode: Mode) -> None:
    corners, confidences = arrays(boxes)
    kept = nms(corners, confidences, float(overlap), mode)
    again = nms(corners[kept], confidences[kept], float(overlap), mode)
    assert sorted(again.tolist()) == list(range(len(kept)))


@pytest.mark.parametrize("mode", ["union", "min"])
def test_only_one_of_equal_boxes_of_equal_confidence_is_kept(mode: Mode) -> None:
    same = np.tile(np.array([0, 0, 10, 10], np.float32), (4, 1))
    assert len(nms(same, np.full(4, 0.9, np.float32), 0.5, mode)) == 1


@pytest.mark.parametrize(
    "boxes",
    [[[0, 0, 100, 100], [40, 40, 60, 60]], [[0, 0, 0, 9], [0, 0, 0, 9]]],
    ids=["one within another", "a shared edge is a shared pixel"],
)
def test_only_mode_min_counts_by_the_smaller_box_and_by_whole_pixels(boxes: list[list[int]]) -> None:
    corners, confidences = np.array(boxes, np.float32), np.array([0.9, 0.8], np.float32)
    assert nms(corners, confidences, 0.7, "union").tolist() == [0, 1]
    assert nms(corners, confidences, 0.7, "min").tolist() == [0]


@pytest.mark.parametrize("mode", ["union", "min"])
def test_no_boxes_give_no_indices(mode: Mode) -> None:
    kept = nms(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.5, mode)
    assert kept.shape == (0,)
    assert kept.dtype == np.intp


@given(corner=st.tuples(FLOATS, FLOATS), size=st.tuples(st.floats(0, 300, width=32), st.floats(0, 300, width=32)))
def test_a_square_has_the_longer_side_and_center(corner: tuple[float, float], size: tuple[float, float]) -> None:
    box = np.array([[*corner, corner[0] + size[0], corner[1] + size[1]]], np.float32)
    square = to_square(box)
    sides = square[0, 2:] - square[0, :2]
    assert sides == pytest.approx([max(size), max(size)], abs=1e-3)
    assert square[0, :2] + square[0, 2:] == pytest.approx(box[0, :2] + box[0, 2:], abs=1e-3)


@pytest.mark.parametrize(("inclusive", "expected"), [(False, [11, 20, 30, 32]), (True, [11.05, 20, 30, 31.6])])
def test_offsets_are_shares_of_the_width_and_height(*, inclusive: bool, expected: list[float]) -> None:
    box = np.array([[10, 20, 30, 40]], np.float32)
    moved = apply_offsets(box, np.array([[0.05, 0, 0, -0.4]], np.float32), inclusive=inclusive)
    assert moved[0] == pytest.approx(expected, abs=1e-5)


@given(box=st.tuples(FLOATS, FLOATS, FLOATS, FLOATS), inclusive=st.booleans())
def test_no_offset_moves_nothing(*, box: tuple[float, ...], inclusive: bool) -> None:
    boxes = np.array([box], np.float32)
    assert np.array_equal(apply_offsets(boxes, np.zeros((1, 4), np.float32), inclusive=inclusive), boxes)


@given(box=st.tuples(FLOATS, FLOATS, FLOATS, FLOATS), height=st.integers(1, 300), width=st.integers(1, 300))
def test_a_window_is_within_the_photo_or_empty(box: tuple[float, ...], height: int, width: int) -> None:
    left, top, right, bottom = clipped_windows(np.array([box], np.float32), height, width)[0].tolist()
    assert min(left, top) >= 0
    assert right <= width
    assert bottom <= height


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ([10.0, 20.0, 30.0, 40.0], [9, 19, 30, 40]),  # pixels count from one, as in MATLAB, where MTCNN comes from
        ([10.9, 20.9, 30.9, 40.9], [9, 19, 30, 40]),
        ([-8.5, -0.5, 30.0, 40.0], [0, 0, 30, 40]),
        ([90.0, 40.0, 130.0, 80.0], [89, 39, 100, 50]),
    ],
)
def test_a_window_holds_the_pixels_under_its_box(box: list[float], window: list[int]) -> None:
    assert clipped_windows(np.array([box], np.float32), height=50, width=100).tolist() == [window]


@pytest.mark.parametrize("box", [[-30, 10, -5, 35], [10, -30, 35, -5], [102, 10, 130, 35], [10, 52, 35, 80]])
def test_a_box_outside_the_photo_has_an_empty_window(box: npt.NDArray[np.float32]) -> None:
    left, top, right, bottom = clipped_windows(np.array([box], np.float32), height=50, width=100)[0].tolist()
    assert right <= left or bottom <= top
