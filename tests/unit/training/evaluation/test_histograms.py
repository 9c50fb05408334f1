"""Histograms of all pairs give the rates of the exact distances, to the bin, whatever the block size."""

import tracemalloc

import numpy as np
import pytest

from app.domain.arrays import Floats
from training.data.samplers import Indices
from training.evaluation.histograms import WIDTH, pair_histograms
from training.evaluation.metrics import area_under_curve, share_within, threshold_at


@pytest.fixture
def faces() -> tuple[Floats, Indices]:
    """Unit vectors (300, 8) of sixty people, and the person of each."""
    random = np.random.default_rng(1)
    person_of = random.permutation(np.repeat(np.arange(60), 5))
    vectors = random.standard_normal((60, 8))[person_of] + 0.6 * random.standard_normal((300, 8))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32), person_of


@pytest.mark.parametrize(("block_size", "count"), [(1, 40), (7, 300), (64, 300), (300, 300), (5000, 300)])
def test_the_rates_are_those_of_the_exact_distances_to_the_bin(
    faces: tuple[Floats, Indices], block_size: int, count: int
) -> None:
    vectors, person_of = faces[0][:count], faces[1][:count]
    rows, columns = np.triu_indices(len(vectors), 1)
    distances = (2 - 2 * vectors @ vectors.T)[rows, columns].astype(np.float64)
    same = person_of[rows] == person_of[columns]
    genuine, impostors = np.sort(distances[same]), np.sort(distances[~same])
    histograms = pair_histograms(vectors, person_of, block_size)
    assert (histograms.genuine.sum(), histograms.impostors.sum()) == (len(genuine), len(impostors))
    assert histograms.area_under_curve() == pytest.approx(area_under_curve(genuine, impostors), abs=1e-5)
    for fmr in (1e-3, 1e-2, 0.1, 0.5):
        threshold = threshold_at(impostors, fmr)
        low, high = (share_within(genuine, threshold + shift) for shift in (-2 * WIDTH, 2 * WIDTH))
        assert low <= histograms.true_match_rate(fmr) <= high


def test_the_block_size_does_not_change_the_counts(faces: tuple[Floats, Indices]) -> None:
    whole, blocks = (pair_histograms(*faces, size) for size in (300, 41))
    assert int(np.abs(whole.genuine - blocks.genuine).sum()) <= 2  # a rounding may move a pair to the next bin
    assert int(np.abs(whole.impostors - blocks.impostors).sum()) <= 40
    assert whole.area_under_curve() == pytest.approx(blocks.area_under_curve(), abs=1e-6)


def test_memory_is_bounded_by_the_block_and_not_by_the_faces() -> None:
    random = np.random.default_rng(2)
    vectors = random.standard_normal((3000, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tracemalloc.start()
    try:
        pair_histograms(vectors, np.arange(3000) // 3, 200)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * 200**2 + 4_000_000  # the counts have 2 MB; all pairs at once took 96 bytes each: 430 MB


def test_all_genuine_pairs_closer_is_an_area_of_one() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
    histograms = pair_histograms(vectors, np.repeat(np.arange(3), 2), 4)
    assert histograms.area_under_curve() == 1
    assert histograms.true_match_rate(0.1) == 1
