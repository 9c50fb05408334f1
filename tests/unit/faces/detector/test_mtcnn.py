import time
import tracemalloc

import numpy as np
import pytest

from app.domain.arrays import Pixels
from app.domain.faces import Face
from app.faces.detector.mtcnn import CascadeOptions, Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from tests.support.background import map_in_threads
from tests.support.stages import OneCell, Sure, SureOutput
from training.evaluation.detection_recall import intersection_over_union

Nets = tuple[ProposalNet, RefineNet, OutputNet]
HOPPER_BOX, COLLINS_BOX = (174, 120, 356, 340), (181, 62, 268, 173)


def grey(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), 127, np.uint8)


def as_numbers(faces: list[Face]) -> list[object]:
    return [(face.box, face.landmarks.points.tolist(), face.confidence) for face in faces]


@pytest.mark.parametrize("person", ["hopper", "collins"])
def test_a_portrait_has_one_face_with_landmarks(detector: Mtcnn, request: pytest.FixtureRequest, person: str) -> None:
    expected = {"hopper": HOPPER_BOX, "collins": COLLINS_BOX}[person]
    (face,) = detector.detect(request.getfixturevalue(person))
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks.points
    assert (face.box.left, face.box.top, face.box.right, face.box.bottom) == pytest.approx(expected, abs=3)
    assert 0.99 < face.confidence <= 1
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert left_mouth[0] < right_mouth[0]


def test_faces_come_largest_first(detector: Mtcnn, hopper: Pixels, collins: Pixels) -> None:
    both = grey(600, 1100)
    both[:512, :512], both[:, 560:1072] = collins, hopper
    large, small = detector.detect(both)
    assert large.box.left > 560
    assert small.box.right < 512
    assert large.box.area > small.box.area


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (11, 11), (12, 12), (19, 300), (20, 20), (21, 33)])
def test_a_photo_too_small_or_thin_for_a_face_has_none(detector: Mtcnn, size: tuple[int, int]) -> None:
    assert detector.detect(grey(*size)) == detector.detect(grey(300, 400)) == []
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("offset", "moved_by_r_net", "crops"),
    [(-9.0, 0, 0), (-20 / 19, 0, 0), (0.0, -9, 1)],
    ids=["far beyond", "just beyond", "moved by R-Net"],
)
def test_a_candidate_beyond_the_edge_of_the_photo_is_dropped(offset: float, moved_by_r_net: float, crops: int) -> None:
    rnet, onet = Sure(offset=moved_by_r_net), SureOutput()
    assert Mtcnn(OneCell(*[offset] * 4), rnet, onet).detect(grey(100, 100)) == []
    assert (rnet.crops, onet.crops) == (crops, 0)


def test_a_candidate_that_reaches_beyond_the_edge_is_kept_with_its_whole_box() -> None:
    (face,) = Mtcnn(OneCell(-0.5, -0.5, -0.5, -0.5), Sure(), SureOutput()).detect(grey(100, 100))
    # the first cell, 1 to 12 px of a level 12 / 20 as large, is 1 to 20 px of the photo: half its 19 px is 9.5
    assert (face.box.left, face.box.top, face.box.right, face.box.bottom) == (-8.5, -8.5, 10.5, 10.5)
    assert face.landmarks.points.tolist() == [[0.5, 0.5]] * 5  # -8.5 + half of 20 inclusive pixels, less one
    assert face.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("thresholds", "faces"), [((0.9, 0.7, 0.7), 1), ((0.91, 0.7, 0.7), 0), ((0.6, 0.9, 0.7), 0), ((0.6, 0.7, 0.9), 0)]
)
def test_p_net_must_reach_and_others_exceed_their_threshold(thresholds: tuple[float, float, float], faces: int) -> None:
    options = CascadeOptions(thresholds=thresholds)
    found = Mtcnn(OneCell(0, 0, 0, 0), Sure(), SureOutput(), options).detect(grey(100, 100))
    assert len(found) == faces


def test_the_smallest_face_is_that_of_the_options_and_grows_with_a_photo_that_is_too_large() -> None:
    assert CascadeOptions(min_face=20).min_face_in(1000, 1000) == 20
    assert CascadeOptions(min_face=40).min_face_in(1000, 1000) == 40
    options = CascadeOptions(min_face=20, max_level_pixels=1_000_000)
    assert options.min_face_in(5000, 8000) == pytest.approx(12 * 40**0.5)  # 40 megapixels to one


@pytest.mark.parametrize("size", [(200, 300), (1000, 20), (333, 77)])
def test_no_level_has_more_pixels_than_allowed(size: tuple[int, int]) -> None:
    pnet = OneCell(0, 0, 0, 0)
    Mtcnn(pnet, Sure(), SureOutput(), CascadeOptions(max_level_pixels=2000)).detect(grey(*size))
    assert all(height * width <= 2000 + height + width for height, width in pnet.levels)  # sides are rounded up


@pytest.mark.parametrize(("size", "factor"), [((10, 10), 1), ((3000, 3700), 1), ((3024, 4032), 2), ((5000, 8000), 3)])
def test_a_huge_photo_is_downscaled_but_the_smallest_face_keeps_20_px(size: tuple[int, int], factor: int) -> None:
    options = CascadeOptions()
    assert options.downscaling_of(*size) == factor
    assert factor == 1 or options.min_face_in(*size) / factor >= 20


def test_a_face_of_a_downscaled_photo_is_located_in_the_original() -> None:
    options = CascadeOptions(max_level_pixels=3600)  # 60 x 60: no face below 40 px
    assert options.downscaling_of(200, 200) == 2
    (face,) = Mtcnn(OneCell(-0.5, -0.5, -0.5, -0.5), Sure(), SureOutput(), options).detect(grey(200, 200))
    # downscaled it is -8.5 to 10.5 (as above), and pixel 1 is 1 and 2 of the original, pixel 10 is 19 and 20
    assert (face.box.left, face.box.top, face.box.right, face.box.bottom) == (-18, -18, 21, 21)
    assert face.landmarks.points.tolist() == [[0.5, 0.5]] * 5


@pytest.mark.parametrize("person", ["hopper", "collins"])
@pytest.mark.parametrize("most", [20_000, 10_000])
def test_faces_of_a_downscaled_photo_are_near_those_of_the_original(
    nets: Nets, request: pytest.FixtureRequest, person: str, most: int
) -> None:
    photo: Pixels = request.getfixturevalue(person)
    bounded, (height, width) = CascadeOptions(max_level_pixels=most), photo.shape[:2]
    assert bounded.downscaling_of(height, width) > 1
    (face,) = Mtcnn(*nets, bounded).detect(photo)
    (exact,) = Mtcnn(*nets, CascadeOptions(min_face=bounded.min_face_in(height, width))).detect(photo)
    off = np.linalg.norm(face.landmarks.points - exact.landmarks.points, axis=1)
    assert intersection_over_union(face.box, exact.box) > 0.85
    assert off.max() < 0.05 * exact.box.width


def test_a_detector_gives_the_same_faces_in_many_threads_as_in_one(nets: Nets, hopper: Pixels, collins: Pixels) -> None:
    detector = Mtcnn(*nets, CascadeOptions(min_face=40))
    photos = [hopper, collins, hopper[:400], collins[:, ::-1]]
    alone = [as_numbers(detector.detect(photo)) for photo in photos]
    together = map_in_threads(lambda photo: as_numbers(detector.detect(photo)), photos * 3, 4)
    assert together == alone * 3


@pytest.fixture(scope="module")
def crowd(collins: Pixels) -> Pixels:
    """Return eight by eight copies of a face, 120 px each."""
    return np.tile(collins[60:180:1, 165:285:1], (8, 8, 1))


def test_every_face_of_a_crowd_is_found(nets: Nets, crowd: Pixels) -> None:
    assert len(Mtcnn(*nets).detect(crowd)) == 64


def test_the_most_probable_of_too_many_candidates_are_kept(nets: Nets, crowd: Pixels) -> None:
    few = Mtcnn(*nets, CascadeOptions(max_candidates=20)).detect(crowd)
    assert 0 < len(few) <= 20
    assert min(face.confidence for face in few) > 0.9


@pytest.mark.slow
def test_a_wall_of_tiny_faces_takes_seconds(nets: Nets, collins: Pixels) -> None:
    face = collins[60:174:4, 180:270:4]
    wall = np.tile(face, (55, 68, 1))
    start = time.process_time()
    found = Mtcnn(*nets).detect(wall)
    assert time.process_time() - start < 20
    assert len(found) <= CascadeOptions().max_candidates


@pytest.mark.parametrize(("size", "most"), [((3000, 3700), 21), ((3024, 4032), 7), ((5000, 8000), 4)])
def test_a_huge_photo_takes_few_bytes_per_pixel(size: tuple[int, int], most: float) -> None:
    photo, detector = np.zeros((*size, 3), np.uint8), Mtcnn(OneCell(0, 0, 0, 0), Sure(), SureOutput())
    tracemalloc.start()
    detector.detect(photo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most * size[0] * size[1]
