"""Threshold offsets: the crowd's definition compared with plain loops, and the network that stands in for the crowd."""

import numpy as np
import pytest
import torch

from app.domain.arrays import Floats
from training.offset.crowd import mean_cosine_to_nearest
from training.offset.fit import MIXES, OffsetOptions, crowd_samples, fit_network, samples_at, true_offsets

OPTIONS = OffsetOptions(nearest=10, strength=0.5, epochs=10, batch=64)


def unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def strangers(count: int, seed: int) -> Floats:
    """Return unit vectors (N, 6) of which half crowd round one direction."""
    vectors = np.random.default_rng(seed).standard_normal((count, 6))
    vectors[::2, 0] += 3
    return unit(vectors.astype(np.float32))


@pytest.fixture(scope="module")
def crowd() -> Floats:
    return strangers(400, seed=0)


def test_crowdedness_is_the_mean_cosine_to_the_nearest(crowd: Floats) -> None:
    vectors = strangers(5, seed=1)
    expected = [np.mean(sorted((float(vector @ other) for other in crowd), reverse=True)[:7]) for vector in vectors]
    np.testing.assert_allclose(mean_cosine_to_nearest(vectors, crowd, 7), expected, rtol=1e-5)


def test_a_face_of_the_crowd_is_no_neighbour_of_itself(crowd: Floats) -> None:
    own = np.arange(len(crowd))[:, None]
    expected = [mean_cosine_to_nearest(crowd[row : row + 1], np.delete(crowd, row, axis=0), 7)[0] for row in range(9)]
    np.testing.assert_allclose(mean_cosine_to_nearest(crowd, crowd, 7, own)[:9], expected, rtol=1e-6)


def test_samples_leave_out_the_faces_that_they_are_made_of(crowd: Floats) -> None:
    samples = crowd_samples(crowd, OPTIONS)
    assert len(samples.vectors) == (MIXES + 2) * len(crowd)
    np.testing.assert_allclose(np.linalg.norm(samples.vectors, axis=1), 1, atol=1e-5)
    mixed = samples.vectors[len(crowd)]
    cosines = np.sort(crowd[1:] @ mixed)[::-1]  # without the first face; the second one it is made of is unknown here
    without_another = (cosines[: OPTIONS.nearest + 1].sum() - cosines[: OPTIONS.nearest + 1]) / OPTIONS.nearest
    choices = [*without_another, cosines[: OPTIONS.nearest].mean()]
    assert np.abs(np.array(choices) - samples.targets[len(crowd)]).min() < 1e-5


def test_offsets_are_larger_where_strangers_crowd_and_zero_on_average(crowd: Floats) -> None:
    others = strangers(200, seed=2)
    offsets = true_offsets(others, crowd, OPTIONS)
    assert offsets[::2].mean() > 0.03 > -0.03 > offsets[1::2].mean()
    assert abs(offsets.mean()) < 0.02
    doubled = true_offsets(others, crowd, OffsetOptions(nearest=10, strength=1.0))
    np.testing.assert_allclose(doubled, 2 * offsets, rtol=1e-5)


@pytest.mark.slow
def test_the_network_gives_the_offsets_of_strangers_it_never_saw(crowd: Floats) -> None:
    others = strangers(200, seed=3)
    network = fit_network(crowd, OPTIONS)
    with torch.inference_mode():
        fitted = network(torch.from_numpy(others)).numpy()
    true = true_offsets(others, crowd, OPTIONS)
    assert np.corrcoef(fitted, true)[0, 1] > 0.95
    assert np.abs(fitted - true).mean() < 0.3 * true.std()


@pytest.mark.slow
def test_others_are_fitted_too_and_are_not_of_the_crowd(crowd: Floats) -> None:
    elsewhere = -strangers(300, seed=4)  # the crowd is on the other side
    trained, unseen = elsewhere[:200], elsewhere[200:]
    true = true_offsets(unseen, crowd, OPTIONS)

    def error(others: Floats | None) -> float:
        network = fit_network(crowd, OPTIONS, others)
        with torch.inference_mode():
            fitted = network(torch.from_numpy(unseen)).numpy()
        return float(np.sqrt(np.mean((fitted - true) ** 2)))

    assert error(trained) < 0.8 * error(None)


def test_a_face_that_is_not_of_the_crowd_has_all_of_it_for_neighbours(crowd: Floats) -> None:
    others = strangers(20, seed=5)
    samples = samples_at(others, crowd, OPTIONS)
    assert len(samples.vectors) == (MIXES + 2) * len(others)
    expected = mean_cosine_to_nearest(samples.vectors, crowd, OPTIONS.nearest)
    np.testing.assert_allclose(samples.targets, expected, rtol=1e-6)
    np.testing.assert_allclose(samples.vectors[:20], others, atol=1e-6)


def test_equal_seeds_give_equal_weights_whatever_torch_was_doing(crowd: Floats) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        return list(fit_network(crowd[:100], OffsetOptions(nearest=10, seed=seed, epochs=2)).state_dict().values())

    first = weights(1)
    torch.rand(3)
    assert all(torch.equal(*pair) for pair in zip(first, weights(1), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(first, weights(2), strict=True))
