"""The served form of MTCNN's networks computes the same as the published form."""

from typing import Any

import pytest
import torch
from torch import nn

from training.export.mtcnn_graph import PIXEL, ServedONet, ServedPNet, ServedRNet
from training.networks.mtcnn import ONet, PNet, RNet

SLOPES = torch.tensor([-1.3, -0.2, 0.0, 0.25, 0.9, 1.0, 1.4])


def with_all_kinds_of_slopes(network: Any) -> Any:
    """Set PReLU slopes below 0, between 0 and 1, and above 1."""
    for prelu in [module for module in network.modules() if isinstance(module, nn.PReLU)]:
        prelu.weight.data = SLOPES[torch.randint(len(SLOPES), prelu.weight.shape)]
    return network.eval()


def pixels(size: int) -> torch.Tensor:
    return torch.rand(3, size, size + (size > 48), PIXEL) * 2 - 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [12, 13, 30, 51])
def test_p_net_is_the_same_but_for_its_softmax(seed: int, size: int) -> None:
    torch.manual_seed(seed)
    published = with_all_kinds_of_slopes(PNet())
    published.prelu1.weight.data = SLOPES[[0, 1, 2, 3, 4, 5, 6, 0, 1, 0]]
    given = pixels(size)
    with torch.inference_mode():
        offsets, logits = ServedPNet(published)(given)
        wanted_offsets, probabilities = published(given[..., :3])
    torch.testing.assert_close(offsets, wanted_offsets, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.sigmoid(logits[:, 0]), probabilities[:, 1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("network", "served", "size"), [(RNet, ServedRNet, 24), (ONet, ServedONet, 48)])
def test_r_net_and_o_net_are_the_same(seed: int, network: Any, served: Any, size: int) -> None:
    torch.manual_seed(seed)
    published = with_all_kinds_of_slopes(network())
    given = pixels(size)
    with torch.inference_mode():
        for one, other in zip(served(published)(given), published(given[..., :3]), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
