"""
MiniFASNet, the liveness networks of minivision-ai/Silent-Face-Anti-Spoofing (`src/model_lib/MiniFASNet.py`).

They are MobileFaceNets for crops of 80 px, with layers pruned to odd widths. The names of the modules are those
of the published weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

CLASSES = 3
LIVE = 1
"""The class of a live face; 0 and 2 are two kinds of attacks."""
REDUCTION = 4


@dataclass(frozen=True)
class Widths:
    """The inner channels of the blocks: of each that halves the picture, and of those that follow it."""

    conv_23: int
    conv_3: Sequence[int]
    conv_34: int
    conv_4: Sequence[int]
    conv_45: int
    conv_5: Sequence[int]


V2 = Widths(103, (13, 13, 13, 13), 231, (231, 52, 26, 77, 26, 26), 308, (26, 26))
V1 = Widths(103, (13, 26, 13, 52), 231, (154, 52, 26, 52, 26, 26), 308, (26, 26))


class Layer(nn.Module):
    """A convolution with batch normalisation, and with PReLU unless it is not `active`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        padding: int = 0,
        depthwise: bool = False,
        active: bool = True,
    ) -> None:
        super().__init__()
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs) if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.prelu(self.bn(self.conv(x)))
        return y


class SqueezeExcitation(nn.Module):
    """Weighs the channels by what the whole picture shows (Hu et al. 2018), with batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels // REDUCTION)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.fc1(x.mean((2, 3), keepdim=True))).relu()  # (N, C / 4, 1, 1)
        weights: Tensor = self.bn2(self.fc2(y)).sigmoid()  # (N, C, 1, 1)
        return x * weights


class Bottleneck(nn.Module):
    """Widens, filters each channel by itself, and narrows again; halves the picture with stride 2."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.conv = Layer(inputs, inner)
        self.conv_dw = Layer(inner, inner, 3, stride, padding=1, depthwise=True)
        self.project = Layer(inner, outputs, active=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.conv_dw(self.conv(x)))
        return y


class ResidualBlock(Bottleneck):
    """Adds its bottleneck to its input, with `attention` after squeeze and excitation."""

    def __init__(self, channels: int, inner: int, *, attention: bool) -> None:
        super().__init__(channels, inner, channels, stride=1)
        self.se_module = SqueezeExcitation(channels) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.se_module(super().forward(x))
        return x + y


class Stage(nn.Module):
    """Blocks of one resolution; with `attention` the last one has squeeze and excitation."""

    def __init__(self, channels: int, inner: Sequence[int], *, attention: bool) -> None:
        super().__init__()
        last = len(inner) - 1
        self.model = nn.Sequential(
            *(ResidualBlock(channels, each, attention=attention and at == last) for at, each in enumerate(inner))
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class MiniFASNet(nn.Module):
    """Maps BGR crops (N, 3, 80, 80) with values 0 to 255 to logits (N, 3), of which LIVE is for live faces."""

    def __init__(self, widths: Widths, *, attention: bool) -> None:
        super().__init__()
        self.conv1 = Layer(3, 32, 3, 2, padding=1)  # 40 x 40
        self.conv2_dw = Layer(32, 32, 3, padding=1, depthwise=True)
        self.conv_23 = Bottleneck(32, widths.conv_23, 64)  # 20 x 20
        self.conv_3 = Stage(64, widths.conv_3, attention=attention)
        self.conv_34 = Bottleneck(64, widths.conv_34, 128)  # 10 x 10
        self.conv_4 = Stage(128, widths.conv_4, attention=attention)
        self.conv_45 = Bottleneck(128, widths.conv_45, 128)  # 5 x 5
        self.conv_5 = Stage(128, widths.conv_5, attention=attention)
        self.conv_6_sep = Layer(128, 512)
        self.conv_6_dw = Layer(512, 512, 5, depthwise=True, active=False)  # 1 x 1
        self.linear = nn.Linear(512, 128, bias=False)
        self.bn = nn.BatchNorm1d(128)
        self.prob = nn.Linear(128, CLASSES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2_dw(self.conv1(x))
        x = self.conv_3(self.conv_23(x))
        x = self.conv_4(self.conv_34(x))
        x = self.conv_5(self.conv_45(x))
        x = self.conv_6_dw(self.conv_6_sep(x)).flatten(1)
        logits: Tensor = self.prob(self.bn(self.linear(x)))
        return logits


def mini_fas_net_v2() -> MiniFASNet:
    return MiniFASNet(V2, attention=False)


def mini_fas_net_v1_se() -> MiniFASNet:
    return MiniFASNet(V1, attention=True)
