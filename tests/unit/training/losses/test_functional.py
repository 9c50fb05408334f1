import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from training.losses import functional as losses
from training.losses.reducers import REDUCERS, Reducer, mean, mean_of_active
from training.miners.pairs import Pairs, all_pairs
from training.miners.triplets import Triplets


def unit_vectors(seed: int, count: int, size: int = 5) -> Tensor:
    return functional.normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)))


def indices(seed: int, count: int, end: int) -> Tensor:
    return torch.randint(end, (count,), generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 10_000), count=st.integers(2, 9))
def test_squared_l2_is_the_sum_of_squared_differences(seed: int, count: int) -> None:
    vectors = unit_vectors(seed, count)
    naive = torch.tensor([[float(((a - b) ** 2).sum()) for b in vectors] for a in vectors])
    torch.testing.assert_close(losses.squared_l2(vectors), naive, atol=1e-5, rtol=0)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 20), margin=st.floats(0.05, 1))
def test_the_triplet_loss_is_equation_3_of_facenet(seed: int, count: int, margin: float) -> None:
    vectors = unit_vectors(seed, 7)
    triplets = Triplets(indices(seed, count, 7), indices(seed + 1, count, 7), indices(seed + 2, count, 7))
    naive = [
        max(float(((vectors[a] - vectors[p]) ** 2).sum() - ((vectors[a] - vectors[n]) ** 2).sum()) + margin, 0.0)
        for a, p, n in zip(triplets.anchors, triplets.positives, triplets.negatives, strict=True)
    ]
    got = losses.triplet_losses(losses.squared_l2(vectors), triplets, margin)
    torch.testing.assert_close(got, torch.tensor(naive), atol=1e-5, rtol=0)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 20), margin=st.floats(0.05, 2))
def test_the_contrastive_loss_is_equation_4_of_hadsell(seed: int, count: int, margin: float) -> None:
    vectors = unit_vectors(seed, 7)
    pairs = Pairs(indices(seed, count, 7), indices(seed + 1, count, 7), indices(seed + 2, count, 2).bool())
    naive = []
    for a, b, same in zip(pairs.first, pairs.second, pairs.same, strict=True):
        distance = float((vectors[a] - vectors[b]).norm())
        naive.append(distance**2 / 2 if same else max(0.0, margin - distance) ** 2 / 2)
    got = losses.contrastive_losses(losses.squared_l2(vectors), pairs, margin)
    torch.testing.assert_close(got, torch.tensor(naive), atol=2e-3, rtol=0)


def test_loss_and_gradient_are_finite_for_two_people_with_the_same_vector() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = losses.contrastive_losses(losses.squared_l2(vectors), all_pairs(torch.tensor([0, 1])), 1.0).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0.5, abs=1e-5)
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())


def test_the_spread_is_0_of_equal_vectors_and_1_of_opposite_ones() -> None:
    assert losses.spread(torch.tensor([[1.0, 0.0]] * 3)) == 0
    assert losses.spread(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == 1


@given(seed=st.integers(0, 10_000), count=st.integers(1, 9))
def test_the_distillation_loss_is_the_squared_l2_to_the_teacher(seed: int, count: int) -> None:
    vectors, teacher = unit_vectors(seed, count), unit_vectors(seed + 1, count)
    naive = torch.tensor([float(((e - t) ** 2).sum()) for e, t in zip(vectors, teacher, strict=True)])
    torch.testing.assert_close(losses.distillation_losses(vectors, teacher), naive, atol=1e-5, rtol=0)


@given(seed=st.integers(0, 10_000), count=st.integers(2, 9))
def test_the_relational_loss_compares_the_cosines_of_all_pairs(seed: int, count: int) -> None:
    vectors, teacher = unit_vectors(seed, count), unit_vectors(seed + 1, count, size=7)
    naive = [
        sum((float(vectors[a] @ vectors[b]) - float(teacher[a] @ teacher[b])) ** 2 for b in range(count) if b != a)
        for a in range(count)
    ]
    got = losses.relational_losses(vectors, teacher)
    torch.testing.assert_close(got, torch.tensor(naive) / (count - 1), atol=1e-5, rtol=0)


def test_the_relational_loss_of_rotated_vectors_is_zero() -> None:
    vectors = unit_vectors(1, 6)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(2)))
    assert losses.relational_losses(vectors, vectors @ rotation).max() < 1e-10


def test_the_mean_counts_solved_triplets_and_the_mean_of_active_does_not() -> None:
    values = torch.tensor([0.0, 0.3, 0.0, 0.1])
    assert mean(values).item() == pytest.approx(0.1)
    assert mean_of_active(values).item() == pytest.approx(0.2)
    assert losses.active_share(values) == 0.5


@pytest.mark.parametrize("reduce", REDUCERS.values(), ids=REDUCERS.keys())
def test_without_a_triplet_the_loss_is_zero_and_has_a_gradient(reduce: Reducer) -> None:
    distances = torch.ones(2, 2, requires_grad=True)
    nothing = torch.empty(0, dtype=torch.int64)
    loss = reduce(losses.triplet_losses(distances, Triplets(nothing, nothing, nothing), 0.2))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert distances.grad is not None
    assert not distances.grad.any()
    assert losses.active_share(torch.empty(0)) == 0


def test_mean_distances_are_those_within_and_across_people() -> None:
    distances = torch.tensor([[0.0, 0.2, 1.0], [0.2, 0.0, 2.0], [1.0, 2.0, 0.0]])
    same, other = losses.mean_distances(distances, torch.tensor([4, 4, 9]))
    assert same == pytest.approx(0.2)
    assert other == pytest.approx(1.5)
