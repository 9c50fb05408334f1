"""Distances, losses per triplet, pair or face, and measures of a batch's embeddings."""

import torch
from torch import Tensor

from training.miners.pairs import Pairs
from training.miners.triplets import Triplets

_TINY = 1e-12


def squared_l2(embeddings: Tensor) -> Tensor:
    """Return the squared L2 distances (B, B) of unit vectors (B, D), in [0, 4]."""
    return (2 - 2 * embeddings @ embeddings.T).clamp(0, 4)  # (B, B)


def triplet_losses(distances: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """Return [d(a, p) - d(a, n) + margin]+ of each triplet, from distances (B, B): FaceNet eq. 3 before the sum."""
    positive = distances[triplets.anchors, triplets.positives]  # (T,)
    negative = distances[triplets.anchors, triplets.negatives]  # (T,)
    return (positive - negative + margin).relu()


def contrastive_losses(distances: Tensor, pairs: Pairs, margin: float) -> Tensor:
    """
    Return the loss of each pair (Hadsell et al. 2006, eq. 4): D^2 / 2 for a genuine one, ([margin - D]+)^2 / 2 for an
    impostor one. `distances` (B, B) are squared and D is their root; at D = 0 the root's gradient is taken as 0.
    """
    squared = distances[pairs.first, pairs.second]  # (T,)
    root = squared.clamp(min=_TINY).sqrt()
    return torch.where(pairs.same, squared, (margin - root).relu().square()) / 2


def distillation_losses(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Return ||embedding - target||^2 of each face, (B, D) both: this keeps the embedding, and thresholds, in place."""
    return (embeddings - targets).square().sum(1)  # (B,)


def relational_losses(embeddings: Tensor, targets: Tensor) -> Tensor:
    """
    Return the mean squared difference of each face's cosines to the other faces, (B,), from (B, D) and (B, D') vectors.

    What is learned is the geometry between faces, whichever way the vectors are rotated (Park et al. 2019,
    "Relational knowledge distillation", with cosines instead of distances).
    """
    differences = (embeddings @ embeddings.T - targets @ targets.T).square()  # (B, B), the diagonal is 0
    return differences.sum(1) / max(len(embeddings) - 1, 1)


def active_share(losses: Tensor) -> Tensor:
    """Return the share of losses above zero, (): of triplets, those that still violate the margin."""
    return (losses > 0).float().mean() if len(losses) else losses.new_zeros(())


def mean_distances(distances: Tensor, people: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean distance of genuine pairs and of impostor pairs, from distances (B, B) of people (B,)."""
    same = people[:, None] == people[None, :]  # (B, B)
    other_face = ~torch.eye(len(people), dtype=torch.bool, device=people.device)
    return _mean_of(distances, same & other_face), _mean_of(distances, ~same)


def spread(embeddings: Tensor) -> Tensor:
    """Return the mean squared L2 distance of unit vectors (B, D) to their mean: 0 where all are equal, at most 1."""
    return (1 - embeddings.mean(0).square().sum()).clamp(min=0)


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen without waiting for the device, as selecting them would; NaN if there is none."""
    return torch.where(chosen, values, 0).sum() / chosen.sum()
