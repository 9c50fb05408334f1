"""
NN2, NN3 and NN4 of FaceNet (Schroff et al. 2015, arXiv:1503.03832, table 2 and section 3.3): Inception networks.

They have GoogLeNet's modules (Szegedy et al. 2015) with L2 pooling where the table says "L2", and no BatchNorm. The
paper does not give the constants of "norm" (here PyTorch's, which are AlexNet's with k = 1), the scale of pixels, or
the initial weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from training.networks.embedder import FaceNetwork
from training.networks.layers import L2Pool, convolution, halving_pool, he_init


class Row(NamedTuple):
    """A row of table 2: output channels of each convolution, 0 where there is none."""

    name: str
    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool: Literal["max", "L2"]
    project: int
    """0: the pooled channels are not projected."""

    @property
    def stride(self) -> int:
        return 1 if self.project else 2

    def outputs(self, inputs: int) -> int:
        return self.one + self.three + self.five + (self.project or inputs)


NN2_ROWS = (
    Row("3a", 64, 96, 128, 16, 32, "max", 32),
    Row("3b", 64, 96, 128, 32, 64, "L2", 64),
    Row("3c", 0, 128, 256, 32, 64, "max", 0),
    Row("4a", 256, 96, 192, 32, 64, "L2", 128),
    Row("4b", 224, 112, 224, 32, 64, "L2", 128),
    Row("4c", 192, 128, 256, 32, 64, "L2", 128),
    Row("4d", 160, 144, 288, 32, 64, "L2", 128),
    Row("4e", 0, 160, 256, 64, 128, "max", 0),
    Row("5a", 384, 192, 384, 48, 128, "L2", 128),
    Row("5b", 384, 192, 384, 48, 128, "max", 128),
)


class InceptionModule(nn.Module):
    """1 x 1, 3 x 3 and 5 x 5 convolutions and a pooling of the same input, side by side."""

    def __init__(self, inputs: int, row: Row) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        if row.one:
            self.branches.append(convolution(inputs, row.one))
        for kernel, reduced, outputs in ((3, row.three_reduce, row.three), (5, row.five_reduce, row.five)):
            if outputs:
                wide = convolution(reduced, outputs, kernel, row.stride)
                self.branches.append(nn.Sequential(convolution(inputs, reduced), wide))
        self.branches.append(_pooling(inputs, row))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def _pooling(inputs: int, row: Row) -> nn.Module:
    pool = L2Pool() if row.pool == "L2" else nn.MaxPool2d(3, row.stride, padding=1)
    return nn.Sequential(pool, convolution(inputs, row.project)) if row.project else pool


class Inception(FaceNetwork):
    """Table 2 up to module 5b, with `rows` for its modules and `stem` for the channels before them."""

    def __init__(self, embedding_size: int, rows: Sequence[Row], stem: tuple[int, int, int] = (64, 64, 192)) -> None:
        super().__init__(embedding_size)
        first, reduced, self.channels = stem
        self.conv1, self.pool1, self.norm1 = convolution(3, first, 7, 2), halving_pool(), nn.LocalResponseNorm(5)
        self.inception2 = nn.Sequential(convolution(first, reduced), convolution(reduced, self.channels, 3))
        self.norm2, self.pool2 = nn.LocalResponseNorm(5), halving_pool()
        self._names = [f"inception{row.name}" for row in rows]
        for name, row in zip(self._names, rows, strict=True):
            self.add_module(name, InceptionModule(self.channels, row))
            self.channels = row.outputs(self.channels)

    def features(self, pixels: Tensor) -> Tensor:
        x: Tensor = self.norm1(self.pool1(self.conv1(pixels)))  # (N, 64, H / 4, W / 4)
        x = self.pool2(self.norm2(self.inception2(x)))  # (N, 192, H / 8, W / 8)
        for name in self._names:
            x = self.get_submodule(name)(x)
        return x  # (N, channels, H / 32, W / 32), rounded up


class NN2(Inception):
    """7.5 M parameters, 1.6 G multiply-adds at 224 px."""

    crop_size = 224
    any_size = True

    def __init__(self, embedding_size: int = 128, rows: Sequence[Row] = NN2_ROWS) -> None:
        super().__init__(embedding_size, rows)
        self.linear = nn.Linear(self.channels, embedding_size)
        he_init(self)

    def forward(self, pixels: Tensor) -> Tensor:
        y: Tensor = self.linear(self.features(pixels).mean((2, 3)))  # (N, D)
        return y


class NN3(NN2):
    """NN2 at 160 px: 0.8 G multiply-adds."""

    crop_size = 160


class NN4(NN2):
    """
    NN2 at 96 px without the 5 x 5 convolutions "in the higher layers": 6.6 M parameters, 285 M multiply-adds.

    The paper does not say which layers. Without those of 4e, 5a and 5b the total is the paper's 285 M; without 4d too
    it would be 282 M, and without 5a and 5b alone 289 M.
    """

    crop_size = 96

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(
            embedding_size, [without_five(row) if row.name in {"4e", "5a", "5b"} else row for row in NN2_ROWS]
        )


def without_five(row: Row) -> Row:
    return row._replace(five_reduce=0, five=0)
