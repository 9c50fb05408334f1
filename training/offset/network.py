"""The network from a face's vector to its threshold offset."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIDDEN = (512, 256)


class OffsetNetwork(nn.Module):
    """
    Unit vectors (N, D) to threshold offsets (N,): GELU layers of 512 and 256, then `scale`.

    The layers see vectors of mean square 1, and are fitted to targets of about mean 0 and variance 1.
    """

    scale: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.root = dimension**0.5
        self.layers = nn.Sequential(
            nn.Linear(dimension, HIDDEN[0]),
            nn.GELU(),
            nn.Linear(HIDDEN[0], HIDDEN[1]),
            nn.GELU(),
            nn.Linear(HIDDEN[1], 1),
        )
        self.register_buffer("scale", torch.ones(()))

    def standardized(self, vectors: Tensor) -> Tensor:
        """Return what the layers are fitted to, (N,)."""
        values: Tensor = self.layers(vectors * self.root)
        return values.squeeze(1)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.standardized(vectors) * self.scale
