"""The compiled kernels give the same bits as NumPy. Skipped where they were not compiled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Floats
from app.faces.detector.kernels import Kernels, load_kernels
from app.faces.detector.nms import _nms
from app.faces.detector.pyramid import AreaPooling, CompiledPooling


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    compiled = load_kernels()
    if compiled is None:
        pytest.skip("kernels.c was not compiled: install with a C compiler")
    return compiled


@given(height=st.integers(1, 70), width=st.integers(1, 70), level=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_a_level_has_the_same_bits(kernels: Kernels, height: int, width: int, level: tuple[int, int]) -> None:
    photo = np.random.default_rng(height * 71 + width).integers(0, 256, (height, width, 3), np.uint8)
    compiled, numpy = CompiledPooling(photo, kernels).level(*level), AreaPooling(photo).level(*level)
    assert compiled.shape == numpy.shape
    np.testing.assert_array_equal(compiled[..., :3], numpy[..., :3])


@given(seed=st.integers(0, 10**6), size=st.sampled_from([1, 24, 48]))
def test_crops_have_the_same_bits_within_and_beyond_the_photo(kernels: Kernels, seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    photo = random.integers(0, 256, (60, 80, 3), np.uint8)
    corners = random.integers(-120, 120, (20, 2))
    windows = np.hstack([corners, corners + random.integers(1, 150, (20, 2))])
    compiled, numpy = CompiledPooling(photo, kernels).crops(windows, size), AreaPooling(photo).crops(windows, size)
    np.testing.assert_array_equal(compiled[..., :3], numpy[..., :3])


@given(seed=st.integers(0, 10**6), count=st.integers(0, 700), overlap=st.sampled_from([0.5, 0.7]))
def test_the_same_boxes_are_kept(kernels: Kernels, seed: int, count: int, overlap: float) -> None:
    boxes, order = some_boxes(np.random.default_rng(seed), count), np.random.default_rng(seed).permutation(count)
    for mode in ("union", "min"):
        kept = kernels.nms(boxes, order, overlap, inclusive=mode == "min")
        np.testing.assert_array_equal(kept, _nms(boxes, order, overlap, mode))


def some_boxes(random: np.random.Generator, count: int) -> Floats:
    """Return boxes (count, 4), half of them on a grid, where overlaps are exactly the limit."""
    corners = random.uniform(0, 100, (count, 2))
    corners[::2] = corners[::2].round(-1)
    sides = random.uniform(5, 40, (count, 2))
    sides[::2] = 20
    return np.hstack([corners, corners + sides]).astype(np.float32)


def test_no_window_reaches_beyond_the_photo_in_memory(kernels: Kernels) -> None:
    extremes = np.array([np.iinfo(np.int64).min, -(10**12), -1, 0, 7, 10**12, np.iinfo(np.int64).max])
    windows = np.array(np.meshgrid(*[extremes] * 4)).reshape(4, -1).T
    crops = CompiledPooling(np.full((8, 8, 3), 255, np.uint8), kernels).crops(windows, 5)
    assert crops.shape == (len(extremes) ** 4, 5, 5, 4)


def test_a_bin_of_more_rows_than_16_bits_can_sum_is_right(kernels: Kernels) -> None:
    photo = np.full((1000, 3, 3), 255, np.uint8)
    compiled, numpy = CompiledPooling(photo, kernels).level(1, 2), AreaPooling(photo).level(1, 2)
    np.testing.assert_array_equal(compiled[..., :3], numpy[..., :3])
    assert compiled[0, 0, 0] == pytest.approx(255)
