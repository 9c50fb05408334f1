"""Values are immutable, and distances, rates and qualities are computed as documented."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.models import AlignedCrop, Box, Distance, Embedding, Landmarks, OperatingPoint, Quality, read_only

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


@pytest.mark.parametrize("vector", [np.zeros(4), np.zeros((1, 4), np.float32), np.zeros(4, np.int64)])
def test_embedding_must_be_one_float32_vector(vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a float32 vector, got"):
        Embedding(vector, "sha256:0")


@given(size=SHARES, sharpness=SHARES, frontality=SHARES, inside=SHARES)
def test_overall_quality_is_the_worst_part(size: float, sharpness: float, frontality: float, inside: float) -> None:
    assert Quality(size, sharpness, frontality, inside).overall == min(size, sharpness, frontality, inside)


@pytest.mark.parametrize(("squared_l2", "cosine"), [(0, 1), (2, 0), (4, -1), (1.1, 0.45)])
def test_similarity_is_one_minus_half_the_distance(squared_l2: float, cosine: float) -> None:
    assert Distance(squared_l2).similarity == pytest.approx(cosine)


def test_distances_are_ordered() -> None:
    assert min(Distance(1.2), Distance(0.3), Distance(2)) == Distance(0.3)


@pytest.mark.parametrize(("squared_l2", "match"), [(0.5, True), (1.1, True), (math.nextafter(1.1, 2), False)])
def test_distance_up_to_the_threshold_is_a_match(squared_l2: float, *, match: bool) -> None:
    assert OperatingPoint(threshold=1.1, fmr=None, fnmr=None).decide(Distance(squared_l2)) is match


@given(
    vectors=st.tuples(*[st.lists(st.floats(-1, 1), min_size=4, max_size=4)] * 2).filter(
        lambda pair: all(np.linalg.norm(vector) > 0.1 for vector in pair)
    )
)
def test_similarity_is_the_cosine_of_the_vectors(vectors: tuple[list[float], list[float]]) -> None:
    a, b = (np.array(vector) / np.linalg.norm(vector) for vector in vectors)
    assert Distance(float(((a - b) ** 2).sum())).similarity == pytest.approx(float(a @ b), abs=1e-9)


def test_fpir_is_the_chance_of_any_match_among_independent_templates() -> None:
    point = OperatingPoint(threshold=1.1, fmr=0.1, fnmr=0.05)
    assert point.fpir(0) == 0
    assert point.fpir(1) == pytest.approx(0.1)
    assert point.fpir(3) == pytest.approx(1 - 0.9**3)


@given(fmr=SHARES, templates=st.integers(0, 10**9))
def test_fpir_is_between_the_fmr_and_its_sum(fmr: float, templates: int) -> None:
    fpir = OperatingPoint(threshold=1.1, fmr=fmr, fnmr=0.05).fpir(templates)
    assert fpir is not None
    assert 0 <= fpir <= 1
    assert min(templates, 1) * fmr * (1 - 1e-9) <= fpir <= templates * fmr * (1 + 1e-9)


def test_fpir_of_a_tiny_fmr_is_not_rounded_to_zero() -> None:
    assert OperatingPoint(threshold=1.1, fmr=1e-18, fnmr=0.5).fpir(1000) == pytest.approx(1e-15)


def test_fpir_without_an_fmr_is_unknown() -> None:
    assert OperatingPoint(threshold=1.1, fmr=None, fnmr=None).fpir(10) is None
