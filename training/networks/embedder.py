"""What every network here has in common, and the one path from pixels to unit vectors."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

RGB: TypeAlias = tuple[float, float, float]

Views: TypeAlias = Literal["crop", "mirror", "zoom"]
"""
Whose vectors are averaged: the crop's alone; and its mirror image's, at twice the cost; and those of both enlarged by
`ZOOM` about the middle, at four times the cost.
"""
ZOOM = 1.1


def views_of(pixels: Tensor, views: Views) -> list[Tensor]:
    """The views of square images (N, C, S, S), each of their shape."""
    every = [pixels]
    if views == "zoom":
        size = int(pixels.shape[3])
        margin = round(size * (1 - 1 / ZOOM) / 2)
        middle = pixels[:, :, margin:-margin, margin:-margin]
        every.append(functional.interpolate(middle, (size, size), mode="bilinear"))
    return every if views == "crop" else every + [view.flip(3) for view in every]


class FaceNetwork(nn.Module):
    """
    A backbone: normalised pixels (N, 3, crop_size, crop_size) to unnormalised vectors (N, embedding_size).

    `mean` and `std` are in units of a pixel, 0 to 255, in the order R, G, B. `left_out` begins the names of tensors
    that a published file may hold and the network does not have: a classifier of the people it was trained on.
    """

    crop_size: int
    mean: RGB = (127.5, 127.5, 127.5)
    std: RGB = (128.0, 128.0, 128.0)
    left_out: tuple[str, ...] = ()

    def __init__(self, embedding_size: int) -> None:
        super().__init__()
        self.embedding_size = embedding_size


class Embedder(nn.Module):
    """
    uint8 RGB crops (N, H, W, 3) to unit float32 vectors (N, D): training, teaching and export use this one graph.

    Crops of another size than the network's are resized: training views have 112 px. An exported graph takes the
    network's size alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: FaceNetwork, *, views: Views = "crop") -> None:
        super().__init__()
        self.network = network
        self.views = views
        self.register_buffer("mean", torch.tensor(network.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        pixels = (crops.permute(0, 3, 1, 2).float() - self.mean) / self.std  # (N, 3, H, W), channels last in memory
        views = views_of(self._fitted(pixels), self.views)
        vectors = functional.normalize(self.network(torch.cat(views)).float())  # (V * N, D), all views in one batch
        if len(views) == 1:
            return vectors
        return functional.normalize(vectors.view(len(views), -1, self.network.embedding_size).sum(0))

    def _fitted(self, pixels: Tensor) -> Tensor:
        size = self.network.crop_size
        if pixels.shape[2:] == (size, size):
            return pixels
        return functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
