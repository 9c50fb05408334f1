"""ArcFace: softmax over people with an angular margin, for pre-training; its weights are not kept."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_MAX_COSINE = 1 - 1e-6
"""The bound of cosines: the arc cosine has no gradient at 1."""


class ArcFace(nn.Module):
    """
    Deng et al. 2019 (arXiv:1801.07698), eq. 3: cross entropy of s cos(theta_y + m) for the right person and
    s cos(theta) for the others. From theta_y = pi - m on, where the cosine rises, it is s (cos(theta_y) - m sin(m)).
    """

    def __init__(self, people: int, embedding_size: int, *, scale: float, margin: float) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(people, embedding_size) * 0.01)  # (P, D)
        self.scale, self.margin = scale, margin

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Return the cross entropies (B,) of unit vectors (B, D) of `people` (B,)."""
        cosines = embeddings @ functional.normalize(self.centers).T  # (B, P)
        own = cosines.gather(1, people[:, None])  # (B, 1)
        logits = self.scale * cosines.scatter(1, people[:, None], self._with_margin(own))  # (B, P)
        return functional.cross_entropy(logits, people, reduction="none")

    def _with_margin(self, cosine: Tensor) -> Tensor:
        angle = cosine.clamp(-_MAX_COSINE, _MAX_COSINE).acos() + self.margin
        return torch.where(angle <= math.pi, angle.cos(), cosine - self.margin * math.sin(self.margin))
