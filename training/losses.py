"""Distance -> loss per triplet -> reducer -> one number; mining, which comes between, is in `mining`."""

from collections.abc import Callable

import torch
from torch import Tensor

from training.mining import Triplets
from training.pair_mining import Pairs

Reducer = Callable[[Tensor], Tensor]

_TINY = 1e-12


def squared_l2(embeddings: Tensor) -> Tensor:
    """Squared L2 distance of every two of the unit vectors (B, D), in [0, 4]."""
    return (2 - 2 * embeddings @ embeddings.T).clamp(0, 4)  # (B, B)


def triplet_losses(distances: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """FaceNet eq. 3, before the sum: [d(a, p) - d(a, n) + margin]+ of each triplet, from distances (B, B)."""
    positive = distances[triplets.anchors, triplets.positives]  # (T,)
    negative = distances[triplets.anchors, triplets.negatives]  # (T,)
    return (positive - negative + margin).relu()


def contrastive_losses(distances: Tensor, pairs: Pairs, margin: float) -> Tensor:
    """
    Hadsell et al. 2006, eq. 4, of each pair: D^2 / 2 for one person, ([margin - D]+)^2 / 2 for two, from squared
    distances (B, B) with D their root. At D = 0 the root's gradient is taken as 0.
    """
    squared = distances[pairs.first, pairs.second]  # (T,)
    root = squared.clamp(min=_TINY).sqrt()
    return torch.where(pairs.same, squared, (margin - root).relu().square()) / 2


def anchoring_losses(embeddings: Tensor, targets: Tensor) -> Tensor:
    """||e - teacher||^2 of each face, for (B, D) twice: holds the embedding, and so the threshold, in place."""
    return (embeddings - targets).square().sum(1)  # (B,)


def mean(losses: Tensor) -> Tensor:
    """Mean over all; 0 where there is none."""
    return losses.sum() / max(len(losses), 1)


def mean_of_active(losses: Tensor) -> Tensor:
    """Mean over those above zero, so that the gradient does not fade as triplets are solved; 0 where there is none."""
    return losses.sum() / (losses > 0).sum().clamp(min=1)


REDUCERS: dict[str, Reducer] = {"mean": mean, "mean-of-active": mean_of_active}


def active_share(losses: Tensor) -> float:
    """The share of the triplets that still violate the margin, in [0, 1]."""
    return float((losses > 0).float().mean()) if len(losses) else 0.0


def mean_distances(distances: Tensor, people: Tensor) -> tuple[float, float]:
    """Mean distance of two faces of one person, and of two people; (B, B) and (B,)."""
    same = people[:, None] == people[None, :]  # (B, B)
    other_face = ~torch.eye(len(people), dtype=torch.bool, device=people.device)
    return float(distances[same & other_face].mean()), float(distances[~same].mean())


def spread(embeddings: Tensor) -> float:
    """Mean squared L2 distance of the unit vectors (B, D) to their mean: 0 where all are equal, at most 1."""
    return max(0.0, float(1 - embeddings.mean(0).square().sum()))
