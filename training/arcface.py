"""ArcFace: a softmax over people whose own angle is made wider. Pre-training for triplets; the weights are not kept."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.options import PretrainingConfig

_INSIDE = 1 - 1e-6
"""Of cosines: at 1 the arc cosine has no gradient."""


class ArcFace(nn.Module):
    """
    Deng et al. 2019 (arXiv:1801.07698), eq. 3: cross entropy of s cos(theta_y + m) for the person, s cos(theta) for
    the others. Beyond theta_y = pi - m, where that would fall again, it goes on as s (cos(theta_y) - m sin(m)).
    """

    def __init__(self, people: int, embedding_size: int, config: PretrainingConfig) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, embedding_size) * 0.01)  # (P, D)
        self.scale, self.margin = config.scale, config.margin

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Cross entropies (B,) of unit vectors (B, D), which are of `people` (B,)."""
        cosines = embeddings @ functional.normalize(self.centres).T  # (B, P)
        own = cosines.gather(1, people[:, None])  # (B, 1)
        logits = self.scale * cosines.scatter(1, people[:, None], self._widened(own))  # (B, P)
        return functional.cross_entropy(logits, people, reduction="none")

    def _widened(self, cosine: Tensor) -> Tensor:
        angle = cosine.clamp(-_INSIDE, _INSIDE).acos() + self.margin
        return torch.where(angle <= math.pi, angle.cos(), cosine - self.margin * math.sin(self.margin))
