"""Multi-similarity, circle and N-pair loss against pytorch-metric-learning, and their gradients."""

import pytest
import torch
from pytorch_metric_learning import losses, miners, reducers
from torch import Tensor
from torch.nn import functional

from training.config.losses import LossConfig
from training.losses.objectives import LOSSES
from training.miners.anchors import n_pairs

PEOPLE = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
"""The last has one face only."""


def vectors(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(9, 4, dtype=torch.float64, generator=generator)).requires_grad_()


def ours(kind: str, miner: str, embeddings: Tensor) -> Tensor:
    config = LossConfig(kind=kind, miner=miner)
    return LOSSES[kind].objective(config, torch.Generator().manual_seed(7), None)(embeddings, PEOPLE)


def theirs(kind: str, miner: str, embeddings: Tensor) -> Tensor:
    each, mined = reducers.DoNothingReducer(), None
    if kind == "n-pair":
        pairs = n_pairs(PEOPLE, torch.Generator().manual_seed(7))
        empty = PEOPLE.new_empty(0)
        longer = embeddings * 4  # its vectors have any length; ours are scaled by 16 = 4 * 4
        found = losses.NPairsLoss(reducer=each)
        found.distance.normalize_embeddings = False
        return found(longer, PEOPLE, (*pairs, empty, empty))["loss"]["losses"]  # type: ignore[no-any-return]
    if kind == "circle":
        return losses.CircleLoss(m=0.25, gamma=256, reducer=each)(embeddings, PEOPLE)["loss"]["losses"]  # type: ignore[no-any-return]
    if miner == "multi-similarity":
        mined = miners.MultiSimilarityMiner(epsilon=0.1)(embeddings, PEOPLE)
    loss = losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5, reducer=each)
    return loss(embeddings, PEOPLE, mined)["loss"]["losses"]  # type: ignore[no-any-return]


CASES = [("multi-similarity", "multi-similarity"), ("multi-similarity", "all-pairs"), ("circle", "all-pairs")]
CASES.append(("n-pair", "n-pairs"))


@pytest.mark.parametrize(("kind", "miner"), CASES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loss_and_gradient_are_those_of_pytorch_metric_learning(kind: str, miner: str, seed: int) -> None:
    one, other = vectors(seed), vectors(seed)
    got, expected = ours(kind, miner, one), theirs(kind, miner, other)
    expected = expected.flatten()
    if kind == "circle":
        expected = expected[:8]  # the last face has no positive: 0 there, and nothing here
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    (gradient,) = torch.autograd.grad(got.sum(), one)
    (reference,) = torch.autograd.grad(expected.sum(), other)
    tangent, reference = (g - (g * one).sum(1, keepdim=True) * one for g in (gradient, reference))
    torch.testing.assert_close(tangent, reference, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("kind", "miner"), [case for case in CASES if case[0] != "circle"])
def test_the_gradient_is_that_of_finite_differences(kind: str, miner: str) -> None:
    assert torch.autograd.gradcheck(lambda points: ours(kind, miner, points), (vectors(4),))


@pytest.mark.parametrize(("kind", "miner"), CASES)
def test_without_pairs_the_loss_and_its_gradient_are_finite(kind: str, miner: str) -> None:
    config, embeddings = LossConfig(kind=kind, miner=miner), vectors(5)
    objective = LOSSES[kind].objective(config, torch.Generator(), None)
    each = objective(embeddings, torch.zeros(9, dtype=torch.int64)).sum() + objective(embeddings, torch.arange(9)).sum()
    (gradient,) = torch.autograd.grad(each, embeddings)
    assert bool(each.isfinite())
    assert bool(gradient.isfinite().all())
