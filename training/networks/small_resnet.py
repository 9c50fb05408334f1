"""
A small residual network of plain 3 x 3 convolutions (He et al. 2016, arXiv:1512.03385), to train from scratch on a CPU.

It has a sixth of MobileFaceNet's multiply-adds and no depthwise convolutions, which on a CPU mostly move memory: a step
is eight times as fast. As in FaceNet no BatchNorm follows the last layer, so that the spread of the vectors is learned,
and can collapse.
"""

from math import ceil

from torch import Tensor, nn

from training.networks.embedder import FaceNetwork

WIDTHS = (24, 32, 64, 128)


class Residual(nn.Module):
    """Two convolutions beside a shortcut; the first halves the image, and so does the shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride=2)
        self.second = _convolution(outputs, outputs, 3)
        self.shortcut = _convolution(inputs, outputs, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu_()) + self.shortcut(x)
        return y.relu_()


class SmallResNet(FaceNetwork):
    """1.1 M parameters, 39 M multiply-adds at 112 px."""

    crop_size = 112

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size)
        self.stem = _convolution(3, WIDTHS[0], 3, stride=2)
        self.blocks = nn.Sequential(*map(Residual, WIDTHS[:-1], WIDTHS[1:]))
        positions = ceil(self.crop_size / 16) ** 2  # the stem and each block halve the image, rounding up
        self.head = nn.Linear(WIDTHS[-1] * positions, embedding_size)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.blocks(self.stem(pixels).relu_())  # (N, 128, 7, 7) at 112 px
        y: Tensor = self.head(x.flatten(1))  # (N, D)
        return y


class SmallResNetBN(SmallResNet):
    """The same with a BatchNorm at the end, as a margin softmax needs: it spreads the vectors of random weights."""

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size)
        self.bn = nn.BatchNorm1d(embedding_size)

    def forward(self, pixels: Tensor) -> Tensor:
        y: Tensor = self.bn(super().forward(pixels))
        return y


class SmallResNetBN56(SmallResNetBN):
    """The same at 56 px: 0.57 M parameters, 11 M multiply-adds; a step takes a third of the time."""

    crop_size = 56


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )
