"""
IResNet, the residual networks of ArcFace (Deng et al. 2019, arXiv:1801.07698, section 3.1), with the parameter names of
insightface's arcface_torch.

Unlike ResNet, the image keeps its size in the first convolution, a block begins with BatchNorm and ends with the sum,
and all 7 x 7 positions go into the last layer.
"""

from torch import Tensor, nn

from training.networks.embedder import FaceNetwork

WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """BatchNorm, two convolutions of which the second has the stride, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x, short = self.bn1(x), self.downsample(x)
        y: Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(x))))) + short
        return y


class IResNet(FaceNetwork):
    """Four stages of `depths` blocks; each halves the image and, but for the first, doubles the channels."""

    crop_size = 112
    std = (127.5, 127.5, 127.5)
    depths: tuple[int, int, int, int]

    def __init__(self, embedding_size: int = 512) -> None:
        super().__init__(embedding_size)
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        inputs = (WIDTHS[0], *WIDTHS)
        self.layer1, self.layer2, self.layer3, self.layer4 = map(_stage, inputs, WIDTHS, self.depths)
        self.bn2 = nn.BatchNorm2d(WIDTHS[-1])
        self.fc = nn.Linear(WIDTHS[-1] * 7 * 7, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)
        self.features.weight.requires_grad = False  # 1: the vectors keep their relative lengths

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(pixels)))  # (N, 64, 112, 112)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, 512, 7, 7)
        y: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))  # (N, D)
        return y


class IR18(IResNet):
    """24.0 M parameters, 2.6 G multiply-adds."""

    depths = (2, 2, 2, 2)


class IR50(IResNet):
    """43.6 M parameters, 6.3 G multiply-adds."""

    depths = (3, 4, 14, 3)


class IR100(IResNet):
    """65.2 M parameters, 12.1 G multiply-adds."""

    depths = (3, 13, 30, 3)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def _stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(depth - 1)))
