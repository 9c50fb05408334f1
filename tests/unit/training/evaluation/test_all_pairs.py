"""All pairs compared with plain loops, and the bootstrap over people."""

import numpy as np
import pytest

from training.data.samplers import Indices
from training.evaluation.all_pairs import all_pairs
from training.evaluation.bootstrap import bootstrap_weights, rate_curves, true_match_rates
from training.evaluation.metrics import threshold_at
from training.pipeline.embeddings import Embeddings

FMRS = [0.3, 0.1, 0.01]


@pytest.fixture
def faces() -> tuple[Embeddings, Indices]:
    """Sixty unit vectors (60, 8) round the centers of twenty people, with offsets, and the person of each."""
    random = np.random.default_rng(1)
    person_of = np.repeat(np.arange(20), 3)
    vectors = random.standard_normal((20, 8))[person_of] + 0.5 * random.standard_normal((60, 8))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    offsets = random.normal(0, 0.2, 60)
    return Embeddings(vectors.astype(np.float32), offsets.astype(np.float32)), person_of


def test_each_pair_is_counted_once_as_genuine_or_impostor(faces: tuple[Embeddings, Indices]) -> None:
    embeddings, person_of = faces
    pairs = all_pairs(embeddings, embeddings, person_of)
    vectors, offsets = embeddings.vectors, embeddings.offsets
    expected = [
        (person_of[i] == person_of[j], float(((vectors[i] - vectors[j]) ** 2).sum() + offsets[i] + offsets[j]))
        for i in range(60)
        for j in range(i + 1, 60)
    ]
    np.testing.assert_allclose(pairs.genuine, sorted(d for same, d in expected if same), atol=1e-5)
    np.testing.assert_allclose(pairs.impostors, sorted(d for same, d in expected if not same), atol=1e-5)
    assert pairs.impostor_people_pairs == 20 * 19 // 2


def test_the_first_rates_are_those_of_the_data_itself(faces: tuple[Embeddings, Indices]) -> None:
    embeddings, person_of = faces
    pairs = all_pairs(embeddings, embeddings, person_of)
    thresholds = [threshold_at(pairs.impostors.astype(np.float64), fmr) for fmr in FMRS]
    expected = [np.mean(pairs.genuine <= threshold) for threshold in thresholds]
    np.testing.assert_allclose(true_match_rates(pairs, FMRS, replicates=0)[0], expected)


def test_a_replicate_is_the_rate_of_the_people_drawn(faces: tuple[Embeddings, Indices]) -> None:
    embeddings, person_of = faces
    pairs = all_pairs(embeddings, embeddings, person_of)
    (_, weight) = bootstrap_weights(pairs.people, 1, seed=7)
    false, true = rate_curves(pairs, np.array([1.0]), replicates=1, seed=7)
    drawn = weight[pairs.impostor_people].prod(axis=1)
    assert false[1, 0] == pytest.approx((drawn * (pairs.impostors <= 1.0)).sum() / drawn.sum())
    genuine = weight[pairs.genuine_person]
    assert true[1, 0] == pytest.approx(1 - (genuine * (pairs.genuine <= 1.0)).sum() / genuine.sum())
