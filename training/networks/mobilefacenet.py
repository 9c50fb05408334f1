"""
MobileFaceNet (Chen et al. 2018, arXiv:1804.07573, table 1), with parameter names as in foamliu/MobileFaceNet.

That variant has ReLU and ReLU6 where the paper has PReLU, a 1 x 1 convolution after the second layer (the paper has
221 M multiply-adds, this 234 M) and a bias in its last convolution.
"""

from typing import NamedTuple

from torch import Tensor, nn

from training.networks.embedder import FaceNetwork


class Stage(NamedTuple):
    """A row of the paper's table 1: `repeats` bottlenecks, of which the first has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int


STAGES = (Stage(2, 64, 5, 2), Stage(4, 128, 1, 2), Stage(2, 128, 6, 1), Stage(4, 128, 1, 2), Stage(2, 128, 2, 1))


def convolution(inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class Bottleneck(nn.Module):
    """Expands, convolves each channel by itself, and projects; the input is added where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            convolution(inputs, hidden),
            convolution(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class DepthwiseSeparable(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.depthwise(x)).relu_()
        y: Tensor = self.bn2(self.pointwise(x)).relu_()
        return y


class GlobalDepthwise(nn.Module):
    """Weights the 7 x 7 positions of each channel: the paper's replacement for average pooling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.depthwise(x))
        return y


class MobileFaceNet(FaceNetwork):
    """1.0 M parameters, 0.23 G multiply-adds at 112 px."""

    crop_size = 112
    mean = (123.675, 116.28, 103.53)
    std = (58.395, 57.12, 57.375)

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size)
        self.conv1 = convolution(3, 64, 3, stride=2)
        self.dw_conv = DepthwiseSeparable(64)
        self.features = nn.Sequential(*_bottlenecks(64))
        self.conv2 = convolution(STAGES[-1].channels, 512)
        self.gdconv = GlobalDepthwise(512)
        self.conv3 = nn.Conv2d(512, embedding_size, 1)
        self.bn = nn.BatchNorm2d(embedding_size)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.dw_conv(self.conv1(pixels))  # (N, 64, 56, 56)
        x = self.conv2(self.features(x))  # (N, 512, 7, 7)
        y: Tensor = self.bn(self.conv3(self.gdconv(x)))  # (N, D, 1, 1)
        return y.flatten(1)


def _bottlenecks(channels: int) -> list[Bottleneck]:
    layers = []
    for stage in STAGES:
        for stride in (stage.stride, *[1] * (stage.repeats - 1)):
            layers.append(Bottleneck(channels, stage.channels, stride, stage.expansion))
            channels = stage.channels
    return layers
