"""Which pairs of a batch a Siamese network is trained on. A miner sees the people (B,) and answers pairs."""

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
    """Every two faces once."""
    first, second = torch.triu_indices(len(people), len(people), 1, device=people.device)  # (T,), (T,)
    return Pairs(first, second, people[first] == people[second])


def balanced_pairs(people: Tensor, random: torch.Generator) -> Pairs:
    """All pairs of one person, and as many of two, drawn at random: chance is then one half."""
    pairs = all_pairs(people)
    same, other = pairs.same.nonzero().squeeze(1), (~pairs.same).nonzero().squeeze(1)
    drawn = other[torch.randperm(len(other), generator=random)[: len(same)].to(other.device)]
    kept = torch.cat([same, drawn])  # (T,)
    return Pairs(pairs.first[kept], pairs.second[kept], pairs.same[kept])


def pairs(name: str, people: Tensor, random: torch.Generator) -> Pairs:
    """By the miner of this name: all-pairs or balanced-pairs."""
    return all_pairs(people) if name == "all-pairs" else balanced_pairs(people, random)
