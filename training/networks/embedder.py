"""The base class of all networks, and the embedder: the one path from pixels to unit vectors."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

RGB: TypeAlias = tuple[float, float, float]

Views: TypeAlias = Literal["crop", "mirror", "zoom"]
"""
The views whose vectors are averaged: the crop; or the crop and its mirror image, at twice the cost; or both, and both
enlarged by `ZOOM`, at four times the cost.
"""
ZOOM = 1.1


def views_of(pixels: Tensor, views: Views) -> list[Tensor]:
    """Return the views of square images (N, C, S, S), each of the same shape."""
    straight = [pixels]
    if views == "zoom":
        size = int(pixels.shape[3])
        margin = round(size * (1 - 1 / ZOOM) / 2)
        middle = pixels[:, :, margin:-margin, margin:-margin]
        straight.append(functional.interpolate(middle, (size, size), mode="bilinear"))
    return straight if views == "crop" else straight + [view.flip(3) for view in straight]


class FaceNetwork(nn.Module):
    """
    A backbone: normalised pixels (N, 3, crop_size, crop_size) to unnormalised vectors (N, embedding_size).

    `mean` and `std` are in units of a pixel, 0 to 255, in the order R, G, B; with `per_image_scaling` those of each
    image take their place. A network of `any_size` takes crops of other sizes too. `ignored_prefixes` begin the names
    of tensors that a published file may have and the network has not: a classifier of the people it was trained on.
    """

    crop_size: int
    mean: RGB = (127.5, 127.5, 127.5)
    std: RGB = (128.0, 128.0, 128.0)
    per_image_scaling: bool = False
    any_size: bool = False
    ignored_prefixes: tuple[str, ...] = ()

    def __init__(self, embedding_size: int) -> None:
        super().__init__()
        self.embedding_size = embedding_size


class Embedder(nn.Module):
    """
    Maps uint8 RGB crops (N, crop_size, crop_size, 3) to unit vectors (N, D), in training, teaching and serving.

    Not `normalized`, the vectors of single crops keep the network's norms, on which some losses depend.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: FaceNetwork, *, views: Views = "crop", normalized: bool = True) -> None:
        super().__init__()
        self.network = network
        self.views, self.normalized = views, normalized
        self.register_buffer("mean", torch.tensor(network.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        pixels = self._scaled(crops.permute(0, 3, 1, 2).float())  # (N, 3, H, W), channels last in memory
        views = views_of(pixels, self.views)
        vectors: Tensor = self.network(torch.cat(views)).float()  # (V * N, D), all views in one batch
        if not self.normalized:
            return vectors
        vectors = functional.normalize(vectors)
        if len(views) == 1:
            return vectors
        return functional.normalize(vectors.view(len(views), -1, self.network.embedding_size).sum(0))

    def _scaled(self, pixels: Tensor) -> Tensor:
        if not self.network.per_image_scaling:
            return (pixels - self.mean) / self.std
        centered = pixels - pixels.mean((1, 2, 3), keepdim=True)
        deviation = centered.square().mean((1, 2, 3), keepdim=True).sqrt()  # (N, 1, 1, 1)
        return centered / deviation.clamp(min=pixels[0].numel() ** -0.5)  # TensorFlow's bound, for an even image
