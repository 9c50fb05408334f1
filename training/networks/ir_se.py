"""
IR-SE-50: IResNet-50 with squeeze and excitation (Hu et al. 2018, arXiv:1709.01507), with the parameter names of
TreB1eN/InsightFace_Pytorch.

Its blocks differ from arcface_torch's: no BatchNorm follows the first convolution, and the shortcut of a block that
keeps its channels takes every second pixel instead of a convolution.
"""

from torch import Tensor, nn

from training.networks.embedder import FaceNetwork
from training.networks.iresnet import IR50, WIDTHS, shortcut

REDUCTION = 16


class SqueezeExcitation(nn.Module):
    """Weights each channel by what all positions of all channels hold."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()  # (N, C, 1, 1)
        return x * weights


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        same = inputs == outputs
        self.shortcut_layer = nn.MaxPool2d(1, stride) if same else shortcut(inputs, outputs, stride)
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcitation(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return y


class IRSE50(FaceNetwork):
    """43.8 M parameters, 6.3 G multiply-adds."""

    crop_size = 112
    std = (127.5, 127.5, 127.5)

    def __init__(self, embedding_size: int = 512) -> None:
        super().__init__(embedding_size)
        first, last = WIDTHS[0], WIDTHS[-1]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        self.body = nn.Sequential(*_blocks())
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Identity(),  # the original's dropout: network.dropout
            nn.Flatten(),
            nn.Linear(last * 7 * 7, embedding_size),
            nn.BatchNorm1d(embedding_size),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        y: Tensor = self.output_layer(self.body(self.input_layer(pixels)))  # (N, D)
        return y


def _blocks() -> list[Block]:
    blocks, inputs = [], WIDTHS[0]
    for outputs, depth in zip(WIDTHS, IR50.depths, strict=True):
        blocks += [Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(depth - 1))]
        inputs = outputs
    return blocks
