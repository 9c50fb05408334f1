"""
P-Net, R-Net and O-Net (Zhang et al. 2016) with the tensor names of facenet-pytorch 2.6.0; their
served form is in training/export/mtcnn_graph.py.

They take float32 RGB pixels in [0, 255], NHWC: (x - 127.5) / 128 is folded into the first convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _pool(size: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(size, stride=2, ceil_mode=True)


class PNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.pool1 = _pool(2)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, H, W, 3) -> offsets (N, 4, h, w), probabilities (N, 2, h, w)."""
        x = self.pool1(self.prelu1(self.conv1(pixels.permute(0, 3, 1, 2))))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_2(x), self.conv4_1(x).softmax(1)


class RNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 28, 3), nn.PReLU(28), _pool(3)
        self.conv2, self.prelu2, self.pool2 = nn.Conv2d(28, 48, 3), nn.PReLU(48), _pool(3)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 24, 24, 3) -> offsets (N, 4), probabilities (N, 2)."""
        x = self.pool1(self.prelu1(self.conv1(pixels.permute(0, 3, 1, 2))))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu3(self.conv3(x))  # (N, 64, 3, 3)
        x = self.prelu4(self.dense4(_flat(x)))
        return self.dense5_2(x), self.dense5_1(x).softmax(1)


class ONet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 32, 3), nn.PReLU(32), _pool(3)
        self.conv2, self.prelu2, self.pool2 = nn.Conv2d(32, 64, 3), nn.PReLU(64), _pool(3)
        self.conv3, self.prelu3, self.pool3 = nn.Conv2d(64, 64, 3), nn.PReLU(64), _pool(2)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 48, 48, 3) -> offsets (N, 4), landmarks (N, 10: five x, then five y), probabilities (N, 2)."""
        x = self.pool1(self.prelu1(self.conv1(pixels.permute(0, 3, 1, 2))))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))  # (N, 128, 3, 3)
        x = self.prelu5(self.dense5(_flat(x)))
        return self.dense6_2(x), self.dense6_3(x), self.dense6_1(x).softmax(1)


def fold_normalisation(network: PNet | RNet | ONet) -> None:
    """Move (x - 127.5) / 128 into `conv1`, so that the network takes pixels. Exact: no MTCNN convolution pads."""
    weight, bias = network.conv1.weight, network.conv1.bias
    if bias is None:
        raise ValueError("expected a first convolution with a bias")
    with torch.no_grad():
        weight.div_(128)
        bias.sub_(127.5 * weight.double().sum((1, 2, 3)))


def _flat(x: Tensor) -> Tensor:
    """Flatten (N, C, H, W) to (N, W * H * C), the order in which the published weights were trained."""
    return x.permute(0, 3, 2, 1).flatten(1)
