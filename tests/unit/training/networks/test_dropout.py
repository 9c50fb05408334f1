import pytest
import torch
from torch import Tensor, nn

from tests.unit.training.conftest import TinyNetwork
from training.networks.dropout import NoHead, drop_before_head
from training.networks.registry import NETWORKS, build


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_has_a_last_layer_for_dropout(name: str) -> None:
    with torch.device("meta"):  # shapes alone: one of them has 140 M parameters
        drop_before_head(build(name, 96), 0.5)


def test_dropout_zeroes_a_share_in_training_and_scales_the_rest() -> None:
    network, seen = TinyNetwork().train(), []
    drop_before_head(network, 0.25)
    network.last.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    nn.init.constant_(network.bn.bias, 9)  # beyond the reach of ReLU
    network(torch.rand(16, 3, 112, 112))
    network.eval()(torch.rand(16, 3, 112, 112))
    dropped, whole = seen
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float((whole == 0).float().mean()) == 0
    assert dropped[dropped > 0].mean() == pytest.approx(float(whole.mean()) / 0.75, rel=0.05)


def test_dropout_does_not_change_the_state_dict() -> None:
    network = TinyNetwork()
    names = set(network.state_dict())
    drop_before_head(network, 0.5)
    assert set(network.state_dict()) == names


def test_a_network_without_a_last_layer_of_its_size_is_refused() -> None:
    class Pooled(TinyNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4 * 12 * 12, 16)

        def forward(self, pixels: Tensor) -> Tensor:
            return super().forward(pixels)[:, :8]

    with pytest.raises(NoHead, match=r"network\.dropout: Pooled has no last layer of 8 outputs; set 0"):
        drop_before_head(Pooled(), 0.5)
    drop_before_head(Pooled(), 0)
