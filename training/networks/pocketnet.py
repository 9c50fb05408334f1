"""
PocketNet-S (Boutros et al. 2022, arXiv:2108.10710): cells that a search found (DARTS on CASIA-WebFace), with the
parameter names of fdbtrs/PocketNet.

A cell takes the outputs of the two cells before it, as states 0 and 1. Each node adds two operations on earlier states
and is the next state; the output has the states of all nodes side by side.
"""

from typing import TypeAlias

import torch
from torch import Tensor, nn

from training.networks.embedder import FaceNetwork

Edge: TypeAlias = tuple[str, int]
"""An operation and the state that it takes; dw3 is a depthwise separable convolution of 3 x 3."""
NORMAL: tuple[tuple[Edge, Edge], ...] = (
    (("dw3", 0), ("dw1", 1)),
    (("dw3", 2), ("dw5", 0)),
    (("dw3", 3), ("dw3", 0)),
    (("dw3", 4), ("skip", 0)),
)
REDUCTION: tuple[tuple[Edge, Edge], ...] = (
    (("dw3", 1), ("dw7", 0)),
    (("skip", 2), ("dw5", 1)),
    (("max", 0), ("skip", 2)),
    (("max", 0), ("max", 1)),
)
CELLS, REDUCING = 18, (6, 12, 17)
CHANNELS = 16


class Separable(nn.Module):
    """PReLU, a depthwise and a pointwise convolution, BatchNorm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.PReLU(inputs),
            nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return y


class Pool(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride, padding=1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.pool(x))
        return y


class FactorizedReduce(nn.Module):
    """Halves the image: half of the channels come from the even pixels, half from the odd ones."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.relu = nn.PReLU(inputs)
        self.conv11 = nn.Conv2d(inputs, inputs, 1, 2, groups=inputs, bias=False)
        self.conv12 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.conv21 = nn.Conv2d(inputs, inputs, 1, 2, groups=inputs, bias=False)
        self.conv22 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        halves = self.conv12(self.conv11(x)), self.conv22(self.conv21(x[:, :, 1:, 1:]))
        y: Tensor = self.bn(torch.cat(halves, 1))
        return y


class Cell(nn.Module):
    """`before` are the channels of the two cells before; `halves_first` fits the first of them to the second's size."""

    def __init__(self, before: tuple[int, int], channels: int, *, halves_first: bool, reduces: bool) -> None:
        super().__init__()
        first, second = before
        self.preproc0 = FactorizedReduce(first, channels) if halves_first else Separable(first, channels, 1)
        self.preproc1 = Separable(second, channels, 1)
        self.nodes = REDUCTION if reduces else NORMAL
        self.dag = nn.ModuleList(
            nn.ModuleList(_operation(name, channels, 2 if reduces and state < 2 else 1) for name, state in node)
            for node in self.nodes
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        states = [self.preproc0(before), self.preproc1(last)]
        for node, operations in zip(self.nodes, self.dag, strict=True):
            one, other = operations.children()
            states.append(one(states[node[0][1]]) + other(states[node[1][1]]))
        return torch.cat(states[2:], 1)


class PocketNetS(FaceNetwork):
    """0.93 M parameters, 0.29 G multiply-adds, with vectors of 128."""

    crop_size = 112
    std = (127.5, 127.5, 127.5)

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size)
        channels = CHANNELS
        outputs = [4 * channels, 4 * channels]
        self.stem = nn.Sequential(nn.Conv2d(3, outputs[0], 3, 2, 1, bias=False), nn.BatchNorm2d(outputs[0]))
        self.cells = nn.ModuleList()
        for number in range(CELLS):
            channels *= 2 if number in REDUCING else 1
            before = outputs[-2], outputs[-1]
            self.cells.append(Cell(before, channels, halves_first=number - 1 in REDUCING, reduces=number in REDUCING))
            outputs.append(4 * channels)
        self.tail = _tail(outputs[-1], embedding_size)

    def forward(self, pixels: Tensor) -> Tensor:
        before = last = self.stem(pixels)  # (N, 64, 56, 56)
        for cell in self.cells:
            before, last = last, cell(before, last)
        y: Tensor = self.tail(last)  # (N, D, 1, 1)
        return y.flatten(1)


def _operation(name: str, channels: int, stride: int) -> nn.Module:
    if name == "skip":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    return Pool(channels, stride) if name == "max" else Separable(channels, channels, int(name[2:]), stride)


def _tail(channels: int, embedding_size: int) -> nn.Sequential:
    """Return MobileFaceNet's last layers, wider for vectors of 512."""
    width = 1024 if embedding_size == 512 else 512
    return nn.Sequential(
        nn.PReLU(channels),
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.PReLU(width),
        nn.Conv2d(width, width, 7, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, embedding_size, 1, bias=False),
        nn.BatchNorm2d(embedding_size),
    )
