"""Distances and rates are computed as documented."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.comparisons import Distance, OperatingPoint

SHARES = st.floats(0, 1)


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
