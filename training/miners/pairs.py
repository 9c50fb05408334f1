"""Pair miners: from the people (B,) of a batch to the pairs that a step trains on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Two index vectors (T,) into the batch, and whether both faces are of one person."""

    first: Tensor
    second: Tensor
    same: Tensor

    def __len__(self) -> int:
        return len(self.first)


def all_pairs(people: Tensor) -> Pairs:
    """Take every two faces once."""
    first, second = torch.triu_indices(len(people), len(people), 1, device=people.device)  # (T,), (T,)
    return Pairs(first, second, people[first] == people[second])


def balanced_pairs(people: Tensor, random: torch.Generator) -> Pairs:
    """Take all genuine pairs, and as many impostor pairs drawn at random, so that chance is one half."""
    pairs = all_pairs(people)
    same, other = pairs.same.nonzero().squeeze(1), (~pairs.same).nonzero().squeeze(1)
    drawn = other[torch.randperm(len(other), generator=random)[: len(same)].to(other.device)]
    kept = torch.cat([same, drawn])  # (T,)
    return Pairs(pairs.first[kept], pairs.second[kept], pairs.same[kept])


PAIR_MINERS: dict[str, Callable[[Tensor, torch.Generator], Pairs]] = {
    "all-pairs": lambda people, _: all_pairs(people),
    "balanced-pairs": balanced_pairs,
}
