import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Pixels
from training.config.augmentation import AugmentationConfig
from training.data import augmentation
from training.data.augmentation import (
    adjust_color,
    adjust_tone,
    augment,
    cut_edges,
    degrade,
    misalignment,
    shrink,
    warp,
)
from training.data.crops import CROPS_112, CropGeometry

TEMPLATE = np.array(CROPS_112.template)
EVERYTHING = AugmentationConfig(share=1, degraded_share=1, blur_share=0.5, edge_share=0.5)


@pytest.fixture(scope="module")
def crop() -> Pixels:
    coarse = np.random.default_rng(1).integers(30, 220, (12, 12, 3), np.uint8)
    return cv2.resize(coarse, (144, 144), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(seed=st.integers(0, 10_000))
def test_a_view_is_a_function_of_the_crop_and_the_seed(crop: Pixels, seed: int) -> None:
    untouched = crop.copy()
    view = augment(crop, EVERYTHING, generator(seed))
    assert view.shape == (112, 112, 3)
    assert view.dtype == np.uint8
    assert np.array_equal(view, augment(crop, EVERYTHING, generator(seed)))
    assert np.array_equal(crop, untouched)


STILL = {"landmark_noise": 0, "scale": 0, "rotation": 0, "flip": 0, "degraded_share": 0}
STILL |= {"brightness": 0, "contrast": 0, "gamma": 0, "share": 1}


@pytest.mark.parametrize("changes", [{"share": 0}, {}, {"flip": 1}], ids=["share 0", "strengths 0", "flip"])
def test_a_view_without_changes_is_the_clean_crop_or_its_mirror_image(crop: Pixels, changes: dict[str, int]) -> None:
    view = augment(crop, AugmentationConfig.model_validate(STILL | changes), generator(1))
    expected = CROPS_112.center(crop)[:, ::-1] if "flip" in changes else crop[16:128, 16:128]
    assert np.abs(view.astype(int) - expected).max() <= ("share" not in changes)


def test_landmark_noise_moves_the_center_by_its_mean_over_five_landmarks() -> None:
    middle = np.array([*TEMPLATE.mean(0) + 16, 1])
    moves = [misalignment(1, generator(seed)) @ middle - TEMPLATE.mean(0) for seed in range(2_000)]
    assert np.std(moves) == pytest.approx(1 / np.sqrt(5), rel=0.05)


def test_moderate_moves_stay_inside_the_margin() -> None:
    grey = np.full((144, 144, 3), 100, np.uint8)
    moves = AugmentationConfig(share=1, degraded_share=0, brightness=0, contrast=0, gamma=0)
    assert all(augment(grey, moves, generator(seed)).min() == 100 for seed in range(100))


def test_tone_without_change_is_the_identity_and_contrast_turns_about_grey(crop: Pixels) -> None:
    assert np.array_equal(adjust_tone(crop, brightness=0, contrast=1, gamma=1), crop)
    assert np.unique(adjust_tone(crop, brightness=0, contrast=0, gamma=1)).tolist() == [128]
    assert adjust_tone(crop, brightness=0.1, contrast=1, gamma=1).mean() == pytest.approx(crop.mean() + 25.5, abs=1)


def test_a_small_face_loses_its_detail(crop: Pixels) -> None:
    noise = generator(1).integers(0, 256, (112, 112, 3), np.uint8)
    small = shrink(noise, 28)
    assert small.shape == (112, 112, 3)
    assert np.diff(small.astype(int), axis=1).std() < 0.2 * np.diff(noise.astype(int), axis=1).std()
    assert np.abs(shrink(CROPS_112.center(crop), 112).astype(int) - CROPS_112.center(crop)).max() == 0


def test_jpeg_keeps_the_order_of_channels() -> None:
    red = np.zeros((112, 112, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(augmentation.jpeg(red, 90).mean((0, 1)) - [200, 0, 0]).max() < 3


@given(seed=st.integers(0, 10_000), depth=st.floats(0, 0.3))
def test_cut_edges_are_black_and_the_rest_is_untouched(seed: int, depth: float) -> None:
    white = np.full((112, 112, 3), 255, np.uint8)
    view = cut_edges(white, depth, generator(seed))
    assert set(np.unique(view)) <= {0, 255}
    assert (view == view[..., :1]).all()
    assert view[50:62, 50:62].min() == 255


def test_a_degraded_probe_is_seeded_and_worse_than_the_crop(crop: Pixels) -> None:
    probe = degrade(crop, size=40, quality=40, noise=1, random=generator(3))
    assert np.array_equal(probe, degrade(crop, size=40, quality=40, noise=1, random=generator(3)))
    assert 1 < np.abs(probe.astype(int) - CROPS_112.center(crop)).mean() < 40


def test_warp_fills_what_lies_beyond_the_margin_with_black() -> None:
    white = np.full((144, 144, 3), 255, np.uint8)
    far = np.array([[1, 0, 40], [0, 1, -16]], np.float64)
    assert warp(white, far)[:, :39].max() == 0


def test_a_random_crop_moves_by_at_most_its_shift() -> None:
    dot = np.zeros((144, 144, 3), np.uint8)
    dot[72, 72] = 255
    config = AugmentationConfig.model_validate(STILL | {"shift": 8})
    views = [augment(dot, config, generator(seed))[..., 0] for seed in range(99)]
    positions = [np.unravel_index(view.argmax(), view.shape) for view in views]
    moves = np.abs(np.array(positions) - 56)
    assert 6 <= moves.max() <= 9
    assert len({tuple(position) for position in positions}) > 50


def test_color_without_change_is_the_identity_and_without_saturation_grey(crop: Pixels) -> None:
    assert np.array_equal(adjust_color(crop, saturation=1, gains=(1, 1, 1)), crop)
    grey = adjust_color(crop, saturation=0, gains=(1, 1, 1))
    assert (grey == grey[..., :1]).all()
    assert adjust_color(crop, saturation=1, gains=(0.5, 1, 1))[..., 0].mean() == pytest.approx(
        crop[..., 0].mean() / 2, abs=1
    )


@given(seed=st.integers(0, 10_000))
def test_a_larger_crop_has_the_same_changes_in_proportion(seed: int) -> None:
    coarse = np.random.default_rng(1).integers(30, 220, (12, 12, 3), np.uint8)
    large = CropGeometry(224)
    small_crop, large_crop = (cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) for side in (144, 288))
    config = AugmentationConfig(share=1, shift=4, degraded_share=0, edge_share=0)
    small = augment(np.asarray(small_crop, np.uint8), config, generator(seed))
    view = augment(np.asarray(large_crop, np.uint8), config, generator(seed), large)
    halved = cv2.resize(view, (112, 112), interpolation=cv2.INTER_AREA).astype(int)
    assert view.shape == (224, 224, 3)
    assert np.abs(halved - small).mean() < 3
