import torch

from training.networks import cost
from training.networks.registry import build


def test_its_cost_is_as_documented() -> None:
    parameters, multiply_adds = cost.total(cost.table(build("small_resnet"), 112))

    assert 1.10e6 < parameters < 1.11e6
    assert 38e6 < multiply_adds < 40e6


def test_its_vectors_have_the_embedding_size() -> None:
    assert build("small_resnet", 96).eval()(torch.zeros(2, 3, 112, 112)).shape == (2, 96)
