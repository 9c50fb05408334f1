import pytest
import torch
from torch import Tensor, nn

from training.networks.checkpointing import NoBlocks, checkpoint_blocks
from training.networks.embedder import FaceNetwork
from training.networks.registry import build


class Forgetful(FaceNetwork):
    """Blocks with dropout, whose statistics a second pass would count twice."""

    crop_size = 112

    def __init__(self) -> None:
        super().__init__(8)
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(3, 3, 3, 4), nn.BatchNorm2d(3), nn.Dropout(0.5)) for _ in "ab")
        )
        self.last = nn.Linear(3 * 7 * 7, 8)

    def forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.last(self.blocks(pixels).flatten(1))
        return vectors


def network_named(name: str) -> FaceNetwork:
    torch.manual_seed(1)
    return Forgetful() if name == "dropout" else build(name, 8)


def trained(network: FaceNetwork, pixels: Tensor) -> list[Tensor]:
    """Return losses, gradients, weights and statistics of two steps."""
    torch.manual_seed(2)
    seen, optimizer = [], torch.optim.SGD(network.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        loss = (network(pixels) * torch.arange(8)).square().sum()
        loss.backward()
        optimizer.step()
        seen += [loss.detach(), *(part.grad.clone() for part in network.parameters() if part.grad is not None)]
    return seen + list(network.state_dict().values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dropout", "edgeface_xxs", "mobilefacenet"])
def test_checkpointing_keeps_less_and_learns_the_same_to_the_bit(name: str) -> None:
    pixels = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(3))
    kept = {}
    results = []
    for checkpointed in (False, True):
        network = network_named(name).train()
        if checkpointed:
            checkpoint_blocks(network)
        kept[checkpointed] = bytes_kept(network, pixels)
        results.append(trained(network, pixels))
    assert kept[True] < 0.7 * kept[False]
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def bytes_kept(network: FaceNetwork, pixels: Tensor) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, besides weights, buffers and input."""
    own = {part.data_ptr() for part in [pixels, *network.parameters(), *network.buffers()]}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    before = [buffer.clone() for buffer in network.buffers()]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(pixels)
    for buffer, value in zip(network.buffers(), before, strict=True):
        buffer.copy_(value)
    return sum(storages.values())


def test_a_network_of_single_layers_is_refused() -> None:
    network = FaceNetwork(8)
    network.add_module("conv", nn.Conv2d(3, 8, 112))
    with pytest.raises(NoBlocks, match=r"run\.gradient_checkpointing: FaceNetwork has no blocks"):
        checkpoint_blocks(network)
