"""Which triplets of a batch are trained on. A miner sees distances (B, B) and people (B,) and answers triplets."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Triplets:
    """Three index vectors (T,) into the batch."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor

    def __len__(self) -> int:
        return len(self.anchors)


Miner = Callable[[Tensor, Tensor], Triplets]


@torch.no_grad()
def semi_hard(distances: Tensor, people: Tensor, margin: float) -> Triplets:
    """
    FaceNet eq. 4: for every (anchor, positive) the nearest negative with d(a, p) < d(a, n) < d(a, p) + margin.

    A pair without such a negative gives no triplet: either it is solved, or all its violating negatives are
    nearer than the positive, and those early on collapse the network (section 3.2 of the paper).
    """
    same = _same(people)
    anchors, positives = (same & ~_diagonal(people)).nonzero(as_tuple=True)  # (P,), (P,)
    positive = distances[anchors, positives][:, None]  # (P, 1)
    negative = distances[anchors]  # (P, B)
    usable = ~same[anchors] & (negative > positive) & (negative < positive + margin)
    nearest = negative.where(usable, torch.inf).argmin(1)  # (P,)
    kept = usable.any(1)
    return Triplets(anchors[kept], positives[kept], nearest[kept])


@torch.no_grad()
def batch_hard(distances: Tensor, people: Tensor) -> Triplets:
    """
    For every anchor its farthest positive and its nearest negative (Hermans et al. 2017, arXiv:1703.07737, eq. 5).

    An anchor without a positive or without a negative in the batch gives no triplet.
    """
    same = _same(people)
    positives = same & ~_diagonal(people)
    farthest = distances.where(positives, -torch.inf).argmax(1)  # (B,)
    nearest = distances.where(~same, torch.inf).argmin(1)  # (B,)
    anchors = (positives.any(1) & ~same.all(1)).nonzero().squeeze(1)  # (T,)
    return Triplets(anchors, farthest[anchors], nearest[anchors])


def miner(name: str, margin: float) -> Miner:
    """The miner of this name: semi-hard or batch-hard."""
    miners: dict[str, Miner] = {"semi-hard": partial(semi_hard, margin=margin), "batch-hard": batch_hard}
    return miners[name]


def _same(people: Tensor) -> Tensor:
    return people[:, None] == people[None, :]  # (B, B)


def _diagonal(people: Tensor) -> Tensor:
    return torch.eye(len(people), dtype=torch.bool, device=people.device)  # (B, B)
