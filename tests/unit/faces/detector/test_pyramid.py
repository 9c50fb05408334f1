"""The integral image against torch's area interpolation, which facenet-pytorch uses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from app.domain.arrays import Floats, Pixels
from app.faces.detector.pyramid import CHANNELS, AreaPooling, BufferPool, downscale, pyramid_scales

SIDES = st.integers(1, 40)
SEEDS = st.integers(0, 1000)


def noise(seed: int, height: int, width: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def torch_area(image: Pixels, height: int, width: int) -> Floats:
    planes = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]  # (1, 3, H, W)
    return functional.interpolate(planes, (height, width), mode="area")[0].permute(1, 2, 0).numpy()


@settings(max_examples=60)
@given(seed=SEEDS, size=st.tuples(SIDES, SIDES), wanted=st.tuples(SIDES, SIDES))
def test_a_level_is_torchs_area_interpolation(seed: int, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    photo = noise(seed, *size)
    level = AreaPooling(photo).level(*wanted)
    assert level.shape == (*wanted, CHANNELS)
    assert level.dtype == np.float32
    np.testing.assert_allclose(level[..., :3], torch_area(photo, *wanted), rtol=0, atol=1e-4)


@settings(max_examples=60)
@given(seed=SEEDS, boxes=st.lists(st.tuples(*[st.integers(0, 29)] * 4), min_size=1, max_size=5), size=SIDES)
def test_crops_are_torchs_area_interpolation(seed: int, boxes: list[tuple[int, int, int, int]], size: int) -> None:
    photo = noise(seed, 30, 30)
    windows = np.array([(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in boxes], np.int64)
    crops = AreaPooling(photo).crops(windows, size)
    expected = [torch_area(photo[top:bottom, left:right], size, size) for left, top, right, bottom in windows]
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops[..., :3], np.stack(expected), rtol=0, atol=1e-4)


def test_a_level_of_the_photos_own_size_is_the_photo(collins: Pixels) -> None:
    assert np.array_equal(AreaPooling(collins).level(512, 512)[..., :3], collins)


def test_no_windows_give_no_crops(collins: Pixels) -> None:
    assert AreaPooling(collins).crops(np.empty((0, 4), np.int64), 24).shape == (0, 24, 24, CHANNELS)


def test_sums_beyond_32_bits_wrap_around_and_the_means_are_still_right() -> None:
    photo = np.full((2910, 2900, 3), 255, np.uint8)  # the sum of a plane is 2**31 + 4.5 million
    photo[-100:, -100:] = (1, 2, 3)
    pooled = AreaPooling(photo)
    np.testing.assert_allclose(pooled.level(29, 29)[:27, :27], 255, atol=1e-4)
    np.testing.assert_allclose(pooled.crops(np.array([[2800, 2810, 2900, 2910]]), 2)[..., :3], [[[[1, 2, 3]] * 2] * 2])


def test_a_downscaled_photo_has_the_means_of_complete_squares() -> None:
    photo = np.repeat(np.arange(5 * 7, dtype=np.uint8).reshape(5, 7, 1), 3, axis=2)
    assert downscale(photo, 2)[..., 0].tolist() == [[4, 6, 8], [18, 20, 22]]
    assert downscale(photo, 3)[..., 0].tolist() == [[8, 11]]
    assert downscale(photo, 1) is photo


def test_scales_shrink_the_smallest_face_to_the_networks_twelve_pixels() -> None:
    assert [pyramid_scales(*size, 20, 0.709) for size in ((1, 1), (11, 4000), (19, 19))] == [[], [], []]
    assert pyramid_scales(100, 60, min_face=20, factor=0.5) == [0.6, 0.3]
    assert pyramid_scales(24, 24, min_face=12, factor=0.5) == [1, 0.5]


def test_the_last_level_can_be_the_whole_photo_at_twelve_pixels() -> None:
    assert pyramid_scales(100, 60, min_face=20, factor=0.5, include_last_level=True) == [0.6, 0.3, 0.2]
    assert pyramid_scales(100, 60, min_face=20, factor=0.34, include_last_level=True) == pytest.approx(
        [0.6, 0.204]
    )  # near enough
    assert pyramid_scales(19, 19, min_face=20, factor=0.5, include_last_level=True) == []


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), min_face=st.floats(12, 200), factor=st.floats(0.3, 0.9))
def test_every_level_holds_a_face_and_no_next_one(height: int, width: int, min_face: float, factor: float) -> None:
    short = min(height, width)
    found = pyramid_scales(height, width, min_face, factor)
    assert all(short * scale >= 12 * (1 - 1e-9) for scale in found)
    assert short * 12 / min_face * factor ** len(found) < 12 * (1 + 1e-9)
    assert found == pytest.approx([12 / min_face * factor**level for level in range(len(found))])


@settings(max_examples=60)
@given(seed=SEEDS, box=st.tuples(*[st.integers(-30, 60)] * 4), size=SIDES)
def test_beyond_the_photo_a_crop_is_black(seed: int, box: tuple[int, int, int, int], size: int) -> None:
    photo = noise(seed, 30, 30)
    left, top, right, bottom = min(box[::2]), min(box[1::2]), max(box[::2]) + 1, max(box[1::2]) + 1
    black = np.pad(photo, ((40, 40), (40, 40), (0, 0)))
    (crop,) = AreaPooling(photo).crops(np.array([[left, top, right, bottom]], np.int64), size)
    np.testing.assert_allclose(
        crop[..., :3], torch_area(black[top + 40 : bottom + 40, left + 40 : right + 40], size, size), rtol=0, atol=1e-4
    )


def test_sums_in_a_buffer_are_those_of_fresh_memory(hopper: Pixels, collins: Pixels) -> None:
    pool = BufferPool()
    for photo in (hopper, collins, hopper, hopper[:100]):  # the last ones in what others left
        with pool.borrow(photo) as buffer:
            levels = AreaPooling(photo, buffer).level(90, 70), AreaPooling(photo).level(90, 70)
            assert np.shares_memory(AreaPooling(photo, buffer)._sums, buffer)
        assert np.array_equal(*levels)


def test_a_buffer_is_reused_and_never_lent_twice_at_once(collins: Pixels) -> None:
    pool = BufferPool()
    with pool.borrow(collins) as first, pool.borrow(collins) as second:
        assert not np.shares_memory(first, second)
    with pool.borrow(collins[:99]) as third:
        assert np.shares_memory(third, first) or np.shares_memory(third, second)


def test_buffers_beyond_the_limit_are_neither_lent_nor_kept(collins: Pixels) -> None:
    with BufferPool(max_bytes=4_000_000).borrow(collins) as buffer:
        assert buffer is None
    pool = BufferPool(max_bytes=6_000_000)  # one, of 513 x 513 x 16 bytes
    with pool.borrow(collins) as first, pool.borrow(collins) as second:
        pass
    with pool.borrow(collins) as third, pool.borrow(collins) as fourth:
        reused = [np.shares_memory(new, old) for new in (third, fourth) for old in (first, second)]
    assert sum(reused) == 1
