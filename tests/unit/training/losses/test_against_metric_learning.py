"""The miners and ArcFace agree with pytorch-metric-learning, which is independent code."""

import math

import pytest
import torch
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as theirs
from torch import Tensor
from torch.nn import functional

from training.losses import functional as losses
from training.losses.arcface import ArcFace
from training.miners import triplets
from training.miners.triplets import Triplets

PEOPLE = torch.arange(8).repeat_interleave(4)
SQUARED = distances.LpDistance(power=2)
EACH = reducers.DoNothingReducer()


@pytest.fixture(params=range(5))
def vectors(request: pytest.FixtureRequest) -> Tensor:
    """Thirty-two unit vectors round the centers of eight people."""
    random = torch.Generator().manual_seed(request.param)
    centres = torch.randn(8, 6, generator=random)[PEOPLE]
    return functional.normalize(centres + torch.randn(32, 6, generator=random))


def found(anchors: Tensor, positives: Tensor, negatives: Tensor) -> set[tuple[int, int, int]]:
    return set(zip(anchors.tolist(), positives.tolist(), negatives.tolist(), strict=True))


def ours(triplets: Triplets) -> set[tuple[int, int, int]]:
    return found(triplets.anchors, triplets.positives, triplets.negatives)


def test_batch_hard_is_theirs(vectors: Tensor) -> None:
    expected = found(*miners.BatchHardMiner(distance=SQUARED)(vectors, PEOPLE))

    assert ours(triplets.batch_hard(losses.squared_l2(vectors), PEOPLE)) == expected


def test_semi_hard_takes_the_nearest_of_their_semi_hard_negatives(vectors: Tensor) -> None:
    everything = miners.TripletMarginMiner(0.4, type_of_triplets="semihard", distance=SQUARED)(vectors, PEOPLE)
    matrix = losses.squared_l2(vectors)
    nearest: dict[tuple[int, int], int] = {}
    for a, p, n in sorted(found(*everything), key=lambda one: -float(matrix[one[0], one[2]])):
        nearest[a, p] = n

    assert ours(triplets.semi_hard(matrix, PEOPLE, 0.4)) == {(a, p, n) for (a, p), n in nearest.items()}


def test_violating_takes_one_of_all_their_violating_negatives_of_a_pair(vectors: Tensor) -> None:
    everything = found(*miners.TripletMarginMiner(0.4, type_of_triplets="all", distance=SQUARED)(vectors, PEOPLE))
    got = ours(triplets.violating(losses.squared_l2(vectors), PEOPLE, 0.4, torch.Generator().manual_seed(1)))

    assert got <= everything
    assert sorted((a, p) for a, p, _ in got) == sorted({(a, p) for a, p, _ in everything})


def test_arcface_and_its_gradient_are_theirs(vectors: Tensor) -> None:
    mine = ArcFace(8, 6, scale=16, margin=0.4)
    other = theirs.ArcFaceLoss(8, 6, margin=math.degrees(0.4), scale=16, reducer=EACH)
    other.W.data = mine.centers.detach().T.clone()

    got, expected = mine(vectors, PEOPLE), other(vectors, PEOPLE)["loss"]["losses"]
    got.sum().backward()
    expected.sum().backward()

    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mine.centers.grad, other.W.grad.T, atol=1e-2, rtol=1e-3)
