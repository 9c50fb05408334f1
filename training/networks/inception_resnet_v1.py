"""
Inception-ResNet-v1 (Szegedy et al. 2016, arXiv:1602.07261, section 3.2) as davidsandberg/facenet trains it for faces.

Tensor names and numbers are those of facenet-pytorch 2.6.0, so that its published weights load. Unlike
the paper's, it has residuals scaled by 0.17, 0.10 and 0.20, a last block without ReLU, and a linear layer with
BatchNorm as its head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.embedder import FaceNetwork

Kernel = int | tuple[int, int]
Padding = int | tuple[int, int]


class Convolution(nn.Module):
    """Convolution, BatchNorm with TensorFlow's epsilon, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel = 1, stride: int = 1, padding: Padding = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y.relu()


class Residual(nn.Module):
    """Branches side by side, projected to the input's channels, scaled, and added to it."""

    def __init__(self, channels: int, joint: int, branches: list[nn.Module], *, scale: float, relu: bool) -> None:
        super().__init__()
        self.scale, self.relu = scale, relu
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)
        self._branches = len(branches)
        self.conv2d = nn.Conv2d(joint, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        joint = torch.cat([self.get_submodule(f"branch{number}")(x) for number in range(self._branches)], 1)
        y: Tensor = x + self.scale * self.conv2d(joint)
        return y.relu() if self.relu else y


def block35() -> Residual:
    """Figure 10, on 17 x 17 x 256."""
    branches = [
        Convolution(256, 32),
        nn.Sequential(Convolution(256, 32), Convolution(32, 32, 3, padding=1)),
        nn.Sequential(Convolution(256, 32), Convolution(32, 32, 3, padding=1), Convolution(32, 32, 3, padding=1)),
    ]
    return Residual(256, 96, branches, scale=0.17, relu=True)


def block17() -> Residual:
    """Figure 11, on 8 x 8 x 896."""
    narrow, wide = Convolution(128, 128, (1, 7), padding=(0, 3)), Convolution(128, 128, (7, 1), padding=(3, 0))
    branches = [Convolution(896, 128), nn.Sequential(Convolution(896, 128), narrow, wide)]
    return Residual(896, 256, branches, scale=0.10, relu=True)


def block8(scale: float = 0.20, *, relu: bool = True) -> Residual:
    """Figure 13, on 3 x 3 x 1792."""
    narrow, wide = Convolution(192, 192, (1, 3), padding=(0, 1)), Convolution(192, 192, (3, 1), padding=(1, 0))
    branches = [Convolution(1792, 192), nn.Sequential(Convolution(1792, 192), narrow, wide)]
    return Residual(1792, 384, branches, scale=scale, relu=relu)


class Reduction(nn.Module):
    """Branches side by side, the last a maximum: half the side, more channels (figures 7 and 12)."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        for number, branch in enumerate((*branches, nn.MaxPool2d(3, stride=2))):
            self.add_module(f"branch{number}", branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


def reduction_a() -> Reduction:
    return Reduction(
        Convolution(256, 384, 3, 2),
        nn.Sequential(Convolution(256, 192), Convolution(192, 192, 3, padding=1), Convolution(192, 256, 3, 2)),
    )


def reduction_b() -> Reduction:
    return Reduction(
        nn.Sequential(Convolution(896, 256), Convolution(256, 384, 3, 2)),
        nn.Sequential(Convolution(896, 256), Convolution(256, 256, 3, 2)),
        nn.Sequential(Convolution(896, 256), Convolution(256, 256, 3, padding=1), Convolution(256, 256, 3, 2)),
    )


class InceptionResnetV1(FaceNetwork):
    """23.5 M parameters and 1.42 G multiply-adds at 160 px; published with 512 numbers, trainable with any."""

    crop_size = 160
    any_size = True
    ignored_prefixes = ("logits.",)

    def __init__(self, embedding_size: int = 512) -> None:
        super().__init__(embedding_size)
        self.conv2d_1a = Convolution(3, 32, 3, 2)
        self.conv2d_2a = Convolution(32, 32, 3)
        self.conv2d_2b = Convolution(32, 64, 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, stride=2)
        self.conv2d_3b = Convolution(64, 80)
        self.conv2d_4a = Convolution(80, 192, 3)
        self.conv2d_4b = Convolution(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*[block35() for _ in range(5)])
        self.mixed_6a = reduction_a()
        self.repeat_2 = nn.Sequential(*[block17() for _ in range(10)])
        self.mixed_7a = reduction_b()
        self.repeat_3 = nn.Sequential(*[block8() for _ in range(5)])
        self.block8 = block8(1.0, relu=False)
        self.dropout = nn.Dropout(0.0)  # none for triplets; davidsandberg's softmax runs drop 0.6
        self.last_linear = nn.Linear(1792, embedding_size, bias=False)
        self.last_bn = nn.BatchNorm1d(embedding_size, eps=0.001)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(pixels)))  # (N, 64, 77, 77)
        x = self.conv2d_4a(self.conv2d_3b(self.maxpool_3a(x)))  # (N, 192, 36, 36)
        x = self.repeat_1(self.conv2d_4b(x))  # (N, 256, 17, 17)
        x = self.repeat_2(self.mixed_6a(x))  # (N, 896, 8, 8)
        x = self.block8(self.repeat_3(self.mixed_7a(x)))  # (N, 1792, 3, 3)
        y: Tensor = self.last_bn(self.last_linear(self.dropout(x.mean((2, 3)))))  # (N, D)
        return y
