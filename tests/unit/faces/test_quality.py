import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Pixels
from app.domain.errors import LowQuality
from app.domain.faces import AlignedCrop, Box, Face, Landmarks, Quality
from app.faces.alignment import ARCFACE_112, LandmarkAligner
from app.faces.detector.mtcnn import Mtcnn
from app.faces.quality import HALF_SHARP, QualityBounds, assess

GREY = AlignedCrop(np.full((112, 112, 3), 127, np.uint8), 1.0)
FRONTAL = ((30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (30.0, 80.0), (70.0, 80.0))
BOUNDS = QualityBounds(size=0.25, sharpness=0.15, frontality=0.2, inside=0.6)


def face(
    *, width: float = 112, height: float = 112, nose: tuple[float, float] = (50.0, 60.0), turn: float = 0.0
) -> Face:
    points = np.array([*FRONTAL[:2], nose, *FRONTAL[3:]], np.float32)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    return Face(Box(0, 0, width, height), Landmarks(points @ rotation.T), 1.0)


def blurred(pixels: Pixels, sigma: float) -> AlignedCrop:
    return AlignedCrop(np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8), 1.0)


def crop_of(detector: Mtcnn, photo: Pixels) -> AlignedCrop:
    return LandmarkAligner().align(photo, detector.detect(photo)[0])


@pytest.mark.parametrize(
    ("width", "height", "size"), [(112, 112, 1), (56, 112, 0.5), (200, 28, 0.25), (500, 400, 1), (0, 90, 0)]
)
def test_size_is_the_shorter_side_as_a_share_of_112_pixels(width: float, height: float, size: float) -> None:
    assert assess(face(width=width, height=height), GREY).size == size


def test_sharpness_is_one_half_where_the_laplacian_has_the_stated_variance() -> None:
    columns = np.where(np.arange(112) % 2 == 0, 100, 105).astype(np.uint8)  # a Laplacian of +-10 everywhere
    stripes = AlignedCrop(np.tile(columns[None, :, None], (112, 1, 3)), 1.0)
    assert HALF_SHARP == 100
    assert assess(face(), stripes).sharpness == pytest.approx(0.5)


@pytest.mark.parametrize("person", ["hopper", "collins"])
def test_a_more_blurred_face_is_less_sharp(detector: Mtcnn, request: pytest.FixtureRequest, person: str) -> None:
    crop = crop_of(detector, request.getfixturevalue(person))
    sharpness = [assess(face(), blurred(crop.pixels, sigma)).sharpness for sigma in (0.3, 0.6, 1, 2, 4, 8)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] > 0.5
    assert sharpness[-1] < 0.1


def test_a_black_edge_makes_a_blurred_face_no_sharper() -> None:
    edge = np.full((112, 112, 3), 127, np.uint8)
    edge[:, :28] = edge[:28] = edge[84:] = edge[:, 84:] = 0
    assert assess(face(), AlignedCrop(edge, 0.25)).sharpness == assess(face(), GREY).sharpness == 0


def test_the_farther_the_nose_is_from_the_middle_the_less_frontal_the_face() -> None:
    sideways = [assess(face(nose=(50 + offset, 60)), GREY).frontality for offset in range(0, 60, 5)]
    downwards = [assess(face(nose=(50, 60 + offset)), GREY).frontality for offset in range(0, 60, 5)]
    assert sideways == downwards == sorted(sideways, reverse=True)
    assert sideways[0] == 1
    assert sideways[4] == pytest.approx(1 - 1 / 1.6)  # over the edge of the face
    assert sideways[-1] == 0


@given(turn=st.floats(-np.pi, np.pi), nose=st.tuples(st.floats(0, 100), st.floats(0, 120)))
def test_a_tilted_or_mirrored_head_is_as_frontal(turn: float, nose: tuple[float, float]) -> None:
    upright, mirrored = assess(face(nose=nose), GREY), assess(face(nose=(100 - nose[0], nose[1])), GREY)
    assert assess(face(nose=nose, turn=turn), GREY).frontality == pytest.approx(upright.frontality, abs=1e-4)
    assert mirrored.frontality == pytest.approx(upright.frontality, abs=1e-4)


def test_coinciding_landmarks_have_a_frontality() -> None:
    nowhere = Face(Box(0, 0, 9, 9), Landmarks(np.full((5, 2), 3, np.float32)), 1.0)
    assert 0 <= assess(nowhere, GREY).frontality <= 1


def test_the_more_of_a_face_is_cut_away_the_less_of_it_is_inside(hopper: Pixels) -> None:
    on_template = Face(Box(0, 0, 112, 112), Landmarks(np.array(ARCFACE_112, np.float32)), 1.0)
    inside = [
        assess(on_template, LandmarkAligner().align(hopper[:112, :width], on_template)).inside
        for width in range(112, 0, -10)
    ]
    assert inside == pytest.approx([width / 112 for width in range(112, 0, -10)])


@given(
    box=st.tuples(st.floats(0, 900), st.floats(0, 900)),
    seed=st.integers(0, 100),
    points=st.lists(st.tuples(st.floats(-99, 99), st.floats(-99, 99)), min_size=5, max_size=5),
)
def test_every_part_is_a_share_and_the_face_is_as_good_as_its_worst(
    box: tuple[float, float], seed: int, points: list[tuple[float, float]]
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (112, 112, 3), np.uint8)
    given = Face(Box(0, 0, *box), Landmarks(np.array(points, np.float32)), 1.0)
    quality = assess(given, AlignedCrop(pixels, seed / 100))
    parts = [quality.size, quality.sharpness, quality.frontality, quality.inside]
    assert all(0 <= part <= 1 for part in parts)
    assert quality.overall == min(parts)


def test_a_refused_face_has_a_reason_for_each_part_that_is_too_low() -> None:
    BOUNDS.require(Quality(size=0.25, sharpness=0.15, frontality=0.2, inside=0.6))  # at the bounds
    with pytest.raises(LowQuality) as refusal:
        BOUNDS.require(Quality(size=0.1, sharpness=0.5, frontality=0.5, inside=0.333))
    assert refusal.value.reasons == (
        "size 0.10 is below 0.25 (the face's shorter side as a share of 112 px)",
        "inside 0.33 is below 0.60 (share of the aligned face that lies in the photo)",
    )


@pytest.mark.parametrize("part", ["size", "sharpness", "frontality", "inside"])
def test_each_part_has_a_bound_of_its_own(part: str) -> None:
    poor = Quality(**(dict.fromkeys(["size", "sharpness", "frontality", "inside"], 1.0) | {part: 0.0}))
    with pytest.raises(LowQuality, match=f"^{part} 0.00"):
        BOUNDS.require(poor)


@pytest.mark.parametrize("person", ["hopper", "collins"])
def test_a_good_portrait_is_good_enough_to_enroll(detector: Mtcnn, request: pytest.FixtureRequest, person: str) -> None:
    photo = request.getfixturevalue(person)
    (found,) = detector.detect(photo)
    BOUNDS.require(assess(found, LandmarkAligner().align(photo, found)))
