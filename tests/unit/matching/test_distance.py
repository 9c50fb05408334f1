import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch
from app.matching.distance import distance_between, distances_between
from tests.support.templates import unit

UNITS = st.integers(0, 10_000).map(unit)


def embedding(vector: Floats, model: str = "sha256:a") -> Embedding:
    return Embedding(vector, model)


def at_angle(degrees: float) -> Floats:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


@pytest.mark.parametrize(("degrees", "squared"), [(0, 0.0), (60, 1.0), (90, 2.0), (120, 3.0), (180, 4.0)])
def test_the_distance_of_two_unit_vectors_is_the_squared_chord_of_their_angle(degrees: float, squared: float) -> None:
    distance = distance_between(embedding(at_angle(0)), embedding(at_angle(degrees)))
    assert distance.squared_l2 == pytest.approx(squared, abs=1e-6)
    assert distance.similarity == pytest.approx(math.cos(math.radians(degrees)), abs=1e-6)


@given(first=UNITS, second=UNITS)
def test_a_distance_lies_between_0_and_4_and_has_no_direction(first: Floats, second: Floats) -> None:
    there = distance_between(embedding(first), embedding(second)).squared_l2
    back = distance_between(embedding(second), embedding(first)).squared_l2
    assert 0 <= there <= 4
    assert there == back


@given(vector=UNITS)
def test_a_vector_is_at_distance_0_from_itself_and_4_from_its_opposite(vector: Floats) -> None:
    assert distance_between(embedding(vector), embedding(vector)).squared_l2 == 0
    assert distance_between(embedding(vector), embedding(-vector)).squared_l2 == pytest.approx(4, abs=1e-6)


def test_a_distance_is_a_python_float() -> None:
    assert type(distance_between(embedding(unit(1)), embedding(unit(2))).squared_l2) is float


def test_vectors_of_two_models_have_no_distance() -> None:
    with pytest.raises(ModelMismatch, match="sha256:a and sha256:b"):
        distance_between(embedding(unit(1)), embedding(unit(2), "sha256:b"))


@given(rows=st.lists(UNITS, min_size=1, max_size=4), columns=st.lists(UNITS, min_size=1, max_size=4))
def test_a_matrix_of_distances_equals_the_single_ones(rows: list[Floats], columns: list[Floats]) -> None:
    many = distances_between(np.stack(rows), np.stack(columns))
    singles = [[distance_between(embedding(a), embedding(b)).squared_l2 for b in columns] for a in rows]
    np.testing.assert_allclose(many, singles, atol=2e-6)
