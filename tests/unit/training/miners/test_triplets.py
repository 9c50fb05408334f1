import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from training.losses.functional import squared_l2
from training.miners import triplets
from training.miners.triplets import TRIPLET_MINERS, Triplets, batch_hard, semi_hard, semi_hard_at_random, violating

BATCHES = st.tuples(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=1, max_size=12))
Found = set[tuple[int, int, int]]


def distances_of(seed: int, count: int) -> Tensor:
    """Return distances in float64, so that the loop rounds as the miner does."""
    vectors = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return squared_l2(functional.normalize(vectors))


def found(triplets: Triplets) -> Found:
    return set(zip(triplets.anchors.tolist(), triplets.positives.tolist(), triplets.negatives.tolist(), strict=True))


def pairs_of(people: list[int]) -> list[tuple[int, int]]:
    return [(a, p) for a, p in itertools.permutations(range(len(people)), 2) if people[a] == people[p]]


def others_of(people: list[int], anchor: int) -> list[int]:
    return [n for n in range(len(people)) if people[n] != people[anchor]]


def naive_semi_hard(d: list[list[float]], people: list[int], margin: float) -> Found:
    usable = {
        (a, p): [n for n in others_of(people, a) if d[a][p] < d[a][n] < d[a][p] + margin] for a, p in pairs_of(people)
    }
    return {(a, p, min(negatives, key=d[a].__getitem__)) for (a, p), negatives in usable.items() if negatives}


def naive_violating(d: list[list[float]], people: list[int], margin: float) -> dict[tuple[int, int], set[int]]:
    """Return all negatives to draw from, for each (anchor, positive)."""
    usable = {(a, p): {n for n in others_of(people, a) if d[a][n] < d[a][p] + margin} for a, p in pairs_of(people)}
    return {pair: negatives for pair, negatives in usable.items() if negatives}


def naive_batch_hard(d: list[list[float]], people: list[int]) -> Found:
    hardest = {a: max((p for b, p in pairs_of(people) if b == a), key=d[a].__getitem__) for a, _ in pairs_of(people)}
    nearest = {a: min(others_of(people, a), key=d[a].__getitem__) for a in hardest if others_of(people, a)}
    return {(a, hardest[a], n) for a, n in nearest.items()}


@given(batch=BATCHES, margin=st.sampled_from([0.1, 0.5, 1.5]))
def test_semi_hard_negatives_are_drawn_among_all_of_equation_4(batch: tuple[int, list[int]], margin: float) -> None:
    seed, people = batch
    distances = distances_of(seed, len(people))
    d, random = distances.tolist(), torch.Generator().manual_seed(1)
    got = found(semi_hard_at_random(distances, torch.tensor(people), margin, random))
    assert {(a, p) for a, p, _ in got} == {(a, p) for a, p, _ in naive_semi_hard(d, people, margin)}
    assert all(d[a][p] < d[a][n] < d[a][p] + margin and people[n] != people[a] for a, p, n in got)


def test_every_semi_hard_negative_is_drawn_equally_often() -> None:
    people = torch.tensor([0, 0, *range(1, 5)])
    distances = torch.full((6, 6), 3.0).fill_diagonal_(0)
    distances[0, 1], distances[0, 2:] = 0.5, torch.tensor([0.4, 0.55, 0.6, 0.9])  # too near, twice semi-hard, too far
    random = torch.Generator().manual_seed(2)
    drawn = [found(semi_hard_at_random(distances, people, 0.2, random)) for _ in range(400)]
    negatives = [n for one in drawn for a, _, n in one if a == 0]
    assert set(negatives) == {3, 4}
    assert negatives.count(3) == pytest.approx(200, abs=50)


@given(batch=BATCHES, margin=st.sampled_from([0.1, 0.5, 1.5]))
def test_semi_hard_finds_what_a_naive_loop_over_equation_4_finds(batch: tuple[int, list[int]], margin: float) -> None:
    seed, people = batch
    distances = distances_of(seed, len(people))
    got = found(semi_hard(distances, torch.tensor(people), margin))
    assert got == naive_semi_hard(distances.tolist(), people, margin)


@given(batch=BATCHES)
def test_batch_hard_finds_what_a_naive_loop_finds(batch: tuple[int, list[int]]) -> None:
    seed, people = batch
    distances = distances_of(seed, len(people))
    assert found(batch_hard(distances, torch.tensor(people))) == naive_batch_hard(distances.tolist(), people)


@given(batch=BATCHES, margin=st.sampled_from([0.1, 0.5, 1.5]))
def test_violating_draws_one_negative_of_each_violated_pair(batch: tuple[int, list[int]], margin: float) -> None:
    seed, people = batch
    distances = distances_of(seed, len(people))
    usable = naive_violating(distances.tolist(), people, margin)
    triplets = violating(distances, torch.tensor(people), margin, torch.Generator().manual_seed(seed))
    assert sorted((a, p) for a, p, _ in found(triplets)) == sorted(usable)
    assert len(triplets) == len(usable)
    assert all(n in usable[a, p] for a, p, n in found(triplets))


def test_violating_draws_every_violator_equally_often() -> None:
    distances, people = torch.zeros(5, 5), torch.tensor([0, 0, 1, 2, 3])
    random = torch.Generator().manual_seed(1)
    drawn = [int(violating(distances, people, 0.2, random).negatives[0]) for _ in range(3_000)]
    assert [drawn.count(negative) / 3_000 for negative in (2, 3, 4)] == pytest.approx([1 / 3] * 3, abs=0.03)


@pytest.mark.parametrize("name", ["semi-hard", "violating"])
def test_blocks_of_pairs_find_what_one_block_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    distances, people = distances_of(4, 24), torch.arange(6).repeat_interleave(4)
    whole = TRIPLET_MINERS[name](4, torch.Generator().manual_seed(2))(distances, people)
    monkeypatch.setattr(triplets, "_BLOCK_SIZE", 24 * 5)
    blocks = TRIPLET_MINERS[name](4, torch.Generator().manual_seed(2))(distances, people)
    assert len(whole) > 60
    assert found(blocks) == found(whole)


def test_triplet_miners_are_made_with_a_margin() -> None:
    distances = torch.tensor([[0.0, 0.5, 0.8], [0.5, 0.0, 2.0], [0.8, 2.0, 0.0]])
    people = torch.tensor([0, 0, 1])
    assert found(TRIPLET_MINERS["semi-hard"](0.4, torch.Generator())(distances, people)) == {(0, 1, 2)}
    assert found(TRIPLET_MINERS["semi-hard"](0.2, torch.Generator())(distances, people)) == set()
    assert found(TRIPLET_MINERS["batch-hard"](0.2, torch.Generator())(distances, people)) == {(0, 1, 2), (1, 0, 2)}
