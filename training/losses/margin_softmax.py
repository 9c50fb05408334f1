"""Softmax over people with a margin: ArcFace and its relatives, whose centers are not kept after training."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_MAX_COSINE = 1 - 1e-6
"""The bound of cosines: the arc cosine has no gradient at 1."""


def angle_of(cosine: Tensor) -> Tensor:
    return cosine.clamp(-_MAX_COSINE, _MAX_COSINE).acos()


def add_angle(cosine: Tensor, margin: Tensor) -> Tensor:
    """Return cos(theta + m); from theta = pi - m on, where the cosine rises, cos(theta) - m sin(m)."""
    angle = angle_of(cosine) + margin
    return torch.where(angle <= math.pi, angle.cos(), cosine - margin * margin.sin())


class MarginSoftmax(nn.Module):
    """
    Cross entropy of s cos(theta_y), made harder by a margin, for the right person and s cos(theta) for the others.

    Takes unnormalised vectors, since the margin may depend on their norms. A person has `centers_each` centers.
    """

    centers_each = 1

    def __init__(self, people: int, embedding_size: int, *, scale: float, margin: float) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(people, embedding_size) * 0.01)  # (P, D)
        self.scale, self.margin = scale, margin

    def forward(self, vectors: Tensor, people: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Return the losses (B,) of vectors (B, D) of `people` (B,); `random` draws margins, where a loss does."""
        cosines = self.cosines(functional.normalize(vectors), self.centers)  # (B, P)
        own = self.with_margin(cosines.gather(1, people[:, None]), vectors, random)  # (B, 1)
        logits = self.scale * self.harder(cosines, own).scatter(1, people[:, None], own)  # (B, P)
        return functional.cross_entropy(logits, people, reduction="none") + self.penalty(vectors)

    def cosines(self, embeddings: Tensor, centers: Tensor) -> Tensor:
        """Return the cosines (B, C) of unit vectors (B, D) to people, from centers (C * centers_each, D)."""
        return embeddings @ functional.normalize(centers).T

    def with_margin(self, own: Tensor, vectors: Tensor, random: torch.Generator | None) -> Tensor:
        """Return the cosines (B, 1) to the right person, made smaller."""
        raise NotImplementedError

    def harder(self, cosines: Tensor, _own: Tensor) -> Tensor:
        """Return the cosines (B, P) to the other people, which one loss makes larger."""
        return cosines

    def penalty(self, vectors: Tensor) -> Tensor:
        """Return what is added to the loss of each face, (B,)."""
        return vectors.new_zeros(len(vectors))


class ArcFace(MarginSoftmax):
    """Deng et al. 2019 (arXiv:1801.07698), eq. 3: cos(theta_y + m)."""

    def with_margin(self, own: Tensor, _vectors: Tensor, _random: torch.Generator | None) -> Tensor:
        return add_angle(own, own.new_tensor(self.margin))


class CosFace(MarginSoftmax):
    """Wang et al. 2018 (arXiv:1801.09414), eq. 4: cos(theta_y) - m."""

    def with_margin(self, own: Tensor, _vectors: Tensor, _random: torch.Generator | None) -> Tensor:
        return own - self.margin


class SubCenterArcFace(ArcFace):
    """Deng et al. 2020 (ECCV), eq. 2: a person has several centers, and the nearest counts; noise takes the others."""

    def __init__(self, people: int, embedding_size: int, *, scale: float, margin: float, sub_centers: int) -> None:
        super().__init__(people * sub_centers, embedding_size, scale=scale, margin=margin)
        self.centers_each = sub_centers

    def cosines(self, embeddings: Tensor, centers: Tensor) -> Tensor:
        cosines = super().cosines(embeddings, centers)  # (B, C * sub_centers)
        return cosines.view(len(cosines), -1, self.centers_each).amax(2)


class ElasticArcFace(ArcFace):
    """Boutros et al. 2022 (arXiv:2109.09416), eq. 4: ArcFace whose margin is drawn for each face from N(m, sigma)."""

    def __init__(self, people: int, embedding_size: int, *, scale: float, margin: float, sigma: float) -> None:
        super().__init__(people, embedding_size, scale=scale, margin=margin)
        self.sigma = sigma

    def with_margin(self, own: Tensor, _vectors: Tensor, random: torch.Generator | None) -> Tensor:
        return add_angle(own, drawn_margins(own, self.margin, self.sigma, random))


class ElasticCosFace(CosFace):
    """Boutros et al. 2022, eq. 5: CosFace whose margin is drawn for each face from N(m, sigma)."""

    def __init__(self, people: int, embedding_size: int, *, scale: float, margin: float, sigma: float) -> None:
        super().__init__(people, embedding_size, scale=scale, margin=margin)
        self.sigma = sigma

    def with_margin(self, own: Tensor, _vectors: Tensor, random: torch.Generator | None) -> Tensor:
        return own - drawn_margins(own, self.margin, self.sigma, random)


def drawn_margins(own: Tensor, mean: float, sigma: float, random: torch.Generator | None) -> Tensor:
    """Draw on the CPU, so that every device and process has the same margins (B, 1)."""
    return (mean + sigma * torch.randn(own.shape, generator=random)).to(own)
