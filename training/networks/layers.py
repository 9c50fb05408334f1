"""The layers of the networks of the FaceNet paper, and their initial weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

TINY = 1e-12
"""Smaller than any relevant square; it keeps the root's gradient finite where every input is 0."""


def convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU())


def halving_pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, padding=1)


class L2Pool(nn.Module):
    """
    The root of the mean square of 3 x 3 positions, with stride 1 (FaceNet, table 2: "L2 pooling").

    The mean instead of the sum, as in Sermanet et al. 2012 (arXiv:1204.3968), keeps the scale from layer to layer.
    """

    def forward(self, x: Tensor) -> Tensor:
        return (functional.avg_pool2d(x * x, 3, stride=1, padding=1) + TINY).sqrt()


class Maxout(nn.Module):
    """The largest of `pieces` linear layers, (N, inputs) to (N, outputs) (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, outputs: int, pieces: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs * pieces)
        self.shape = outputs, pieces

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)  # (N, outputs * pieces)
        return y.view(-1, *self.shape).amax(2)


def he_init(network: nn.Module) -> None:
    """
    Initialise as He et al. 2015: with PyTorch's own initial weights and no BatchNorm, each layer shrinks its input six
    times, and every face gets the same vector.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
