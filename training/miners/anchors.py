"""Miners of the pairs of each anchor, and of one pair a person."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class AnchorPairs:
    """Which faces (columns) each anchor (row) is compared with: two masks (B, B)."""

    positives: Tensor
    negatives: Tensor


def all_anchor_pairs(_cosines: Tensor, people: Tensor, _epsilon: float) -> AnchorPairs:
    same = people[:, None] == people[None, :]  # (B, B)
    return AnchorPairs(same & ~torch.eye(len(people), dtype=torch.bool, device=people.device), ~same)


@torch.no_grad()
def multi_similarity(cosines: Tensor, people: Tensor, epsilon: float) -> AnchorPairs:
    """
    Take the pairs that say something, relative to the anchor's hardest (Wang et al. 2019, eq. 9 and 10).

    Negatives nearer than the farthest positive, and positives farther than the nearest negative, by `epsilon`.
    """
    every = all_anchor_pairs(cosines, people, epsilon)
    farthest = cosines.masked_fill(~every.positives, torch.inf).amin(1, keepdim=True)  # (B, 1)
    nearest = cosines.masked_fill(~every.negatives, -torch.inf).amax(1, keepdim=True)  # (B, 1)
    return AnchorPairs(
        every.positives & (cosines < nearest + epsilon), every.negatives & (cosines > farthest - epsilon)
    )


def n_pairs(people: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw an anchor and a positive (N,) of every person with two faces or more."""
    drawn = []
    for person in torch.unique(people):
        faces = (people == person).nonzero().squeeze(1)
        if len(faces) > 1:
            drawn.append(faces[torch.randperm(len(faces), generator=random)[:2].to(faces.device)])
    pairs = torch.stack(drawn) if drawn else people.new_empty((0, 2))  # (N, 2)
    return pairs[:, 0], pairs[:, 1]


ANCHOR_MINERS: dict[str, Callable[[Tensor, Tensor, float], AnchorPairs]] = {
    "multi-similarity": multi_similarity,
    "all-pairs": all_anchor_pairs,
}
