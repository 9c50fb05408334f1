"""Weights of the published kind, at random: what facenet-pytorch's files hold, without the download."""

from pathlib import Path

import torch
from torch import Tensor, nn

from tests.support.facenet_pytorch import package


def random_inception_resnet(people: int, seed: int = 0) -> nn.Module:
    """facenet-pytorch's own network with a classifier of `people`; BatchNorm, too, has statistics that matter."""
    torch.manual_seed(seed)
    network: nn.Module = package().InceptionResnetV1(classify=True, num_classes=people)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            _shake(layer)
    network.classify = False  # type: ignore[assignment]
    return network.eval()


def _shake(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    mean, var = layer.running_mean, layer.running_var
    assert isinstance(mean, Tensor)
    assert isinstance(var, Tensor)
    nn.init.uniform_(layer.weight, 0.8, 1.6)
    nn.init.uniform_(layer.bias, -0.3, 0.3)
    nn.init.normal_(mean, std=0.2)
    nn.init.uniform_(var, 0.2, 0.6)


def saved(network: nn.Module, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path
