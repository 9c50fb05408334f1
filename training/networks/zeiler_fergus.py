"""
NN1 of FaceNet (Schroff et al. 2015, arXiv:1503.03832, table 1): Zeiler and Fergus's network with 1 x 1 convolutions.

The paper does not give the constants of "rnorm" (here PyTorch's, which are AlexNet's with k = 1), the scale of pixels,
and the initial weights. Its "concat" row only joins what one network computes in parts.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.embedder import FaceNetwork
from training.networks.layers import Maxout, convolution, halving_pool, he_init


class NN1(FaceNetwork):
    """140 M parameters, 1.6 G multiply-adds at 220 px; three quarters of the parameters are in `fc1`."""

    crop_size = 220

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__(embedding_size)
        self.conv1, self.pool1 = convolution(3, 64, 7, 2), halving_pool()
        self.rnorm1 = nn.LocalResponseNorm(5)
        self.conv2a, self.conv2 = convolution(64, 64), convolution(64, 192, 3)
        self.rnorm2, self.pool2 = nn.LocalResponseNorm(5), halving_pool()
        self.conv3a, self.conv3, self.pool3 = convolution(192, 192), convolution(192, 384, 3), halving_pool()
        self.conv4a, self.conv4 = convolution(384, 384), convolution(384, 256, 3)
        self.conv5a, self.conv5 = convolution(256, 256), convolution(256, 256, 3)
        self.conv6a, self.conv6, self.pool4 = convolution(256, 256), convolution(256, 256, 3), halving_pool()
        self.fc1, self.fc2 = Maxout(7 * 7 * 256, 32 * 128), Maxout(32 * 128, 32 * 128)
        self.fc7128 = nn.Linear(32 * 128, embedding_size)
        he_init(self)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.rnorm1(self.pool1(self.conv1(pixels)))  # (N, 64, 55, 55)
        x = self.pool2(self.rnorm2(self.conv2(self.conv2a(x))))  # (N, 192, 28, 28)
        x = self.pool3(self.conv3(self.conv3a(x)))  # (N, 384, 14, 14)
        x = self.conv5(self.conv5a(self.conv4(self.conv4a(x))))  # (N, 256, 14, 14)
        x = self.pool4(self.conv6(self.conv6a(x)))  # (N, 256, 7, 7)
        y: Tensor = self.fc7128(self.fc2(self.fc1(x.flatten(1))))  # (N, D)
        return y
