"""
Triplet miners: from distances (B, B) and people (B,) to the triplets that a step trains on.

A batch of 1,800 faces has 70,000 positive pairs, so negatives are searched in blocks of pairs: the whole (pairs, faces)
matrix is never in memory.
"""

from collections.abc import Callable, Iterator
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

_BLOCK_SIZE = 2**22
"""Elements of a block of pairs x faces: 16 MB of float32."""


@torch.no_grad()
def semi_hard(distances: Tensor, people: Tensor, margin: float) -> Triplets:
    """
    Take for every (anchor, positive) the nearest negative with d(a, p) < d(a, n) < d(a, p) + margin (FaceNet eq. 4).

    A pair without such a negative gives no triplet: either it is solved, or all its violating negatives are nearer than
    the positive, and early in training those collapse the network (section 3.2 of the paper).
    """
    found = []
    for anchors, positives, positive, negative in _pairs(distances, people):
        usable = (negative > positive) & (negative < positive + margin)  # (b, B)
        nearest = negative.where(usable, torch.inf).argmin(1)  # (b,)
        found.append(_only_usable(anchors, positives, nearest, usable.any(1)))
    return _concatenated(found)


@torch.no_grad()
def semi_hard_at_random(distances: Tensor, people: Tensor, margin: float, random: torch.Generator) -> Triplets:
    """
    Draw for every (anchor, positive) one of the negatives among which `semi_hard` takes the nearest.

    As the line "FaceNet selection" of davidsandberg/facenet, which is commented out there.
    """
    found = []
    for anchors, positives, positive, negative in _pairs(distances, people):
        usable = (negative > positive) & (negative < positive + margin)  # (b, B)
        found.append(_only_usable(anchors, positives, _drawn(usable, random), usable.any(1)))
    return _concatenated(found)


@torch.no_grad()
def violating(distances: Tensor, people: Tensor, margin: float, random: torch.Generator) -> Triplets:
    """
    Draw for every (anchor, positive) one of the negatives that violate the margin: d(a, n) < d(a, p) + margin.

    As in VGG Face (Parkhi et al. 2015, section 4.4), a random one and not the hardest, so that a wrong label does not
    come up in every batch.
    """
    found = []
    for anchors, positives, positive, negative in _pairs(distances, people):
        usable = negative < positive + margin  # (b, B)
        found.append(_only_usable(anchors, positives, _drawn(usable, random), usable.any(1)))
    return _concatenated(found)


@torch.no_grad()
def batch_hard(distances: Tensor, people: Tensor) -> Triplets:
    """
    Take for every anchor its farthest positive and nearest negative (Hermans et al. 2017, arXiv:1703.07737, eq. 5).

    An anchor without a positive or without a negative in the batch gives no triplet.
    """
    same = _same(people)
    positives = same & ~_diagonal(people)
    farthest = distances.where(positives, -torch.inf).argmax(1)  # (B,)
    nearest = distances.where(~same, torch.inf).argmin(1)  # (B,)
    anchors = (positives.any(1) & ~same.all(1)).nonzero().squeeze(1)  # (T,)
    return Triplets(anchors, farthest[anchors], nearest[anchors])


TRIPLET_MINERS: dict[str, Callable[[float, torch.Generator], Miner]] = {
    "semi-hard": lambda margin, _: partial(semi_hard, margin=margin),
    "semi-hard-random": lambda margin, random: partial(semi_hard_at_random, margin=margin, random=random),
    "batch-hard": lambda *_: batch_hard,
    "violating": lambda margin, random: partial(violating, margin=margin, random=random),
}
"""The miners by name, each made from a margin and a generator of random numbers."""


def _pairs(distances: Tensor, people: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """
    Yield all (anchor, positive) in blocks of b: both (b,), their distance (b, 1), and the anchor's distances to every
    face (b, B), infinite where that is of the same person.
    """
    same = _same(people)
    anchors, positives = (same & ~_diagonal(people)).nonzero(as_tuple=True)  # (P,), (P,)
    size = max(1, _BLOCK_SIZE // max(len(people), 1))
    for start in range(0, max(len(anchors), 1), size):
        a, p = anchors[start : start + size], positives[start : start + size]  # (b,), (b,)
        yield a, p, distances[a, p][:, None], distances[a].masked_fill(same[a], torch.inf)


def _drawn(usable: Tensor, random: torch.Generator) -> Tensor:
    """Return the index of one usable face in each row of (b, B), at random."""
    priorities = torch.rand(usable.shape, generator=random).to(usable.device)
    return priorities.where(usable, -1).argmax(1)  # (b,)


def _only_usable(anchors: Tensor, positives: Tensor, negatives: Tensor, usable: Tensor) -> Triplets:
    return Triplets(anchors[usable], positives[usable], negatives[usable])


def _concatenated(blocks: list[Triplets]) -> Triplets:
    return Triplets(
        torch.cat([block.anchors for block in blocks]),
        torch.cat([block.positives for block in blocks]),
        torch.cat([block.negatives for block in blocks]),
    )


def _same(people: Tensor) -> Tensor:
    return people[:, None] == people[None, :]  # (B, B)


def _diagonal(people: Tensor) -> Tensor:
    return torch.eye(len(people), dtype=torch.bool, device=people.device)  # (B, B)
