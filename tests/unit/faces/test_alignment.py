from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from app.domain.arrays import Floats, Pixels
from app.domain.faces import Box, Face, Landmarks
from app.faces.alignment import ARCFACE_112, LandmarkAligner, Transform, share_inside, similarity_transform
from app.faces.detector.mtcnn import Mtcnn
from app.inference.manifest import LandmarkAlignment, read_embedder
from tests.support.geometry import ANGLES, COORDINATES, SCALES, moved, similarity

TEMPLATE = np.array(ARCFACE_112, np.float32)
FIVE = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=5, max_size=5)
SIDES = st.integers(1, 200)
POINTS = FIVE.map(lambda points: np.array(points, np.float32))


def face_at(points: Floats) -> Face:
    return Face(Box(0, 0, 1, 1), Landmarks(np.array(points, np.float32)), 1.0)


def spread(points: Floats) -> float:
    return float(np.linalg.norm(points - points.mean(0)))


@given(points=POINTS, angle=ANGLES, scale=SCALES, shift=st.tuples(COORDINATES, COORDINATES))
def test_a_similarity_is_recovered(points: Floats, angle: float, scale: float, shift: tuple[float, float]) -> None:
    assume(spread(points) > 10)
    known = similarity(angle, scale, shift)
    found = similarity_transform(points, moved(points, known))
    np.testing.assert_allclose(moved(points, found), moved(points, known), atol=0.05)
    np.testing.assert_allclose(found[:, :2], known[:, :2], atol=1e-3 * scale + 1e-4)


@given(source=POINTS, target=POINTS)
def test_points_that_fit_no_similarity_get_the_one_that_scikit_image_estimates(source: Floats, target: Floats) -> None:
    assume(spread(source) > 10)
    reference = SimilarityTransform.from_estimate(source.astype(np.float64), target.astype(np.float64))
    assume(reference and reference.scale > 0.01)
    np.testing.assert_allclose(similarity_transform(source, target), reference.params[:2], rtol=1e-5, atol=1e-3)


@given(source=POINTS, target=POINTS, angle=ANGLES, scale=st.floats(0.5, 2), shift=st.tuples(COORDINATES, COORDINATES))
def test_no_other_similarity_is_nearer_in_least_squares(
    source: Floats, target: Floats, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    assume(spread(source) > 10)
    best, other = similarity_transform(source, target), similarity(angle, scale, shift)

    def miss(transform: Transform) -> float:
        return float(np.linalg.norm(source @ transform[:, :2].T + transform[:, 2] - target))

    assert miss(best) <= miss(other) + 1e-3


def test_landmarks_less_than_a_pixel_apart_still_have_a_scale() -> None:
    transform = similarity_transform(TEMPLATE / np.float32(100), TEMPLATE)
    np.testing.assert_allclose(transform, [[100, 0, 0], [0, 100, 0]], atol=1e-3)


def test_the_template_is_that_of_the_served_network(models_dir: Path) -> None:
    assert read_embedder(models_dir / "mobilefacenet-128").alignment == LandmarkAlignment(template=ARCFACE_112)


def test_a_mirror_image_is_never_reflected_back() -> None:
    mirrored = TEMPLATE * np.array([-1, 1], np.float32)
    transform = similarity_transform(mirrored, TEMPLATE)
    assert np.linalg.det(transform[:, :2]) > 0


@given(point=st.tuples(COORDINATES, COORDINATES))
def test_coinciding_points_have_no_scale_and_go_to_the_center_of_the_target(point: tuple[float, float]) -> None:
    transform = similarity_transform(np.tile(np.array(point, np.float32), (5, 1)), TEMPLATE)
    assert np.array_equal(transform[:, :2], np.zeros((2, 2)))
    assert transform[:, 2] == pytest.approx(TEMPLATE.mean(0), abs=1e-4)


def test_coinciding_landmarks_give_a_crop_with_nothing_inside(hopper: Pixels) -> None:
    crop = LandmarkAligner().align(hopper, face_at(np.full((5, 2), 200)))
    assert crop.pixels.shape == (112, 112, 3)
    assert crop.inside == 0


def test_landmarks_on_the_template_give_the_pixels_as_they_are(hopper: Pixels) -> None:
    crop = LandmarkAligner().align(hopper[:112, :112], face_at(TEMPLATE))
    assert np.array_equal(crop.pixels, hopper[:112, :112])
    assert crop.inside == 1


def test_a_crop_has_the_size_and_the_template_that_it_was_made_for(hopper: Pixels) -> None:
    shifted = tuple((x + 16, y + 16) for x, y in ARCFACE_112)
    crop = LandmarkAligner(shifted, size=144).align(hopper[:144, :144], face_at(TEMPLATE + 16))
    assert np.array_equal(crop.pixels, hopper[:144, :144])


def test_the_landmarks_of_a_real_face_fall_near_the_template(detector: Mtcnn, hopper: Pixels) -> None:
    (face,) = detector.detect(hopper)
    transform = similarity_transform(face.landmarks.points, TEMPLATE)
    assert np.abs(moved(face.landmarks.points, transform) - TEMPLATE).max() < 6


def test_beyond_the_photo_a_crop_is_black() -> None:
    white = np.full((112, 60, 3), 255, np.uint8)
    crop = LandmarkAligner().align(white, face_at(TEMPLATE))
    assert (crop.pixels[:, :60] == 255).all()
    assert (crop.pixels[:, 60:] == 0).all()
    assert crop.inside == pytest.approx(60 / 112)


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
def test_share_inside_is_a_share(
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
    assert share_inside(similarity(0, 200, (0, 0)), 112, (5, 5)) == pytest.approx(1, abs=1e-6)  # less than a pixel


def test_a_larger_photo_never_has_less_of_the_crop_inside() -> None:
    transform = similarity(0.4, 1.5, (-40, 10))
    shares = [share_inside(transform, 112, (side, side)) for side in range(10, 200, 10)]
    assert shares == sorted(shares)
