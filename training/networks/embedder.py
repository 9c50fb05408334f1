"""What every network here has in common, and the one path from pixels to unit vectors."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional


class FaceNetwork(nn.Module):
    """
    A backbone: normalised pixels (N, 3, crop_size, crop_size) to unnormalised vectors (N, embedding_size).

    `mean` and `std` are in units of a pixel, 0 to 255, in the order R, G, B.
    """

    crop_size: ClassVar[int]
    mean: ClassVar[tuple[float, float, float]]
    std: ClassVar[tuple[float, float, float]]

    def __init__(self, embedding_size: int) -> None:
        super().__init__()
        self.embedding_size = embedding_size


class Embedder(nn.Module):
    """
    uint8 RGB crops (N, H, W, 3) to unit float32 vectors (N, D): training, teaching and export use this one graph.

    With `mirror` the vectors of the crop and of its mirror image are averaged, at twice the cost.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: FaceNetwork, *, mirror: bool = False) -> None:
        super().__init__()
        self.network = network
        self.mirror = mirror
        self.register_buffer("mean", torch.tensor(network.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        pixels = (crops.permute(0, 3, 1, 2).float() - self.mean) / self.std  # (N, 3, H, W), channels last in memory
        vectors = self._unit(pixels)  # (N, D)
        if self.mirror:
            vectors = functional.normalize(vectors + self._unit(pixels.flip(3)))
        return vectors

    def _unit(self, pixels: Tensor) -> Tensor:
        return functional.normalize(self.network(pixels).float())
