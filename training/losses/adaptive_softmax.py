"""Margins that depend on the state of training (CurricularFace) or on the norm of a vector (AdaFace, MagFace)."""

import math

import torch
from torch import Tensor

from training.losses.margin_softmax import ArcFace, MarginSoftmax, add_angle, angle_of

_EPSILON = 1e-3
"""AdaFace's: smallest norm and angle, and what is added to a standard deviation."""
_LARGEST_NORM = 100.0


class CurricularFace(ArcFace):
    """
    Huang et al. 2020 (arXiv:2004.00288), eq. 5 and 7: ArcFace that weights hard negatives more as training succeeds.

    The cosine to another person becomes cos (t + cos) where it exceeds that to the right person with the margin; t is
    the moving average of the cosines to the right person.
    """

    progress: Tensor

    def __init__(self, people: int, embedding_size: int, *, scale: float, margin: float, momentum: float) -> None:
        super().__init__(people, embedding_size, scale=scale, margin=margin)
        self.momentum = momentum
        self.register_buffer("progress", torch.zeros(()))

    def with_margin(self, own: Tensor, vectors: Tensor, random: torch.Generator | None) -> Tensor:
        self.progress.lerp_(own.detach().mean(), 1 - self.momentum)
        return super().with_margin(own, vectors, random)

    def harder(self, cosines: Tensor, own: Tensor) -> Tensor:
        return torch.where(cosines > own, cosines * (self.progress.clone() + cosines), cosines)


class AdaFace(MarginSoftmax):
    """
    Kim et al. 2022 (arXiv:2204.00964), eq. 9 to 11: the norm of a vector, which tells the quality of the image, moves
    the margin from ArcFace's (small norms) over CosFace's (the mean) to one for the hard faces among good images.

    No gradient goes through the norms. As in the authors' code, their moving mean and deviation begin at 20 and 100.
    """

    mean_norm: Tensor
    norm_deviation: Tensor

    def __init__(
        self, people: int, embedding_size: int, *, scale: float, margin: float, concentration: float, momentum: float
    ) -> None:
        super().__init__(people, embedding_size, scale=scale, margin=margin)
        self.concentration, self.momentum = concentration, momentum
        self.register_buffer("mean_norm", torch.tensor(20.0))
        self.register_buffer("norm_deviation", torch.tensor(100.0))

    def with_margin(self, own: Tensor, vectors: Tensor, _random: torch.Generator | None) -> Tensor:
        quality = self._quality(torch.linalg.vector_norm(vectors.detach(), dim=1, keepdim=True))  # (B, 1)
        angle = (angle_of(own) - self.margin * quality).clamp(_EPSILON, math.pi - _EPSILON)
        return angle.cos() - self.margin * (1 + quality)

    def _quality(self, norms: Tensor) -> Tensor:
        """Return the standardised norms (B, 1) of a batch, in [-1, 1]."""
        norms = norms.clamp(_EPSILON, _LARGEST_NORM)
        self.mean_norm.lerp_(norms.mean(), 1 - self.momentum)
        self.norm_deviation.lerp_(norms.std(), 1 - self.momentum)
        standardised = (norms - self.mean_norm) / (self.norm_deviation + _EPSILON)
        return (self.concentration * standardised).clamp(-1, 1)


class MagFace(MarginSoftmax):
    """
    Meng et al. 2021 (arXiv:2103.06627), eq. 3: ArcFace whose margin grows with the norm a of the vector, plus
    lambda_g g(a) with g(a) = 1 / a + a / u_a^2, which rewards large norms. a is kept in [l_a, u_a].
    """

    def __init__(
        self,
        people: int,
        embedding_size: int,
        *,
        scale: float,
        norms: tuple[float, float],
        margins: tuple[float, float],
        norm_weight: float,
    ) -> None:
        super().__init__(people, embedding_size, scale=scale, margin=margins[0])
        self.norms, self.margins, self.norm_weight = norms, margins, norm_weight

    def penalty(self, vectors: Tensor) -> Tensor:
        norms = self._norms(vectors).squeeze(1)  # (B,)
        return self.norm_weight * (1 / norms + norms / self.norms[1] ** 2)

    def with_margin(self, own: Tensor, vectors: Tensor, _random: torch.Generator | None) -> Tensor:
        low, high = self.norms
        share = (self._norms(vectors) - low) / (high - low)  # (B, 1)
        return add_angle(own, self.margins[0] + share * (self.margins[1] - self.margins[0]))

    def _norms(self, vectors: Tensor) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return norms.clamp(*self.norms)
