"""How well a grouping agrees with the truth, by pairs: of those put together and of those that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pairs of photos; a share of no pairs is 1: nothing was put together wrongly, or nothing was there to be found."""

    together: int
    belonging: int
    both: int

    @property
    def precision(self) -> float:
        """Of the pairs put together, the share that is one person's."""
        return self.both / self.together if self.together else 1.0

    @property
    def recall(self) -> float:
        """Of one person's pairs, the share that was put together."""
        return self.both / self.belonging if self.belonging else 1.0


def pairwise(groups: Sequence[Hashable], people: Sequence[Hashable]) -> Agreement:
    """The group and the person of each photo."""
    return Agreement(_pairs(groups), _pairs(people), _pairs(list(zip(groups, people, strict=True))))


def _pairs(labels: Sequence[Hashable]) -> int:
    """Pairs of equal labels."""
    return sum(comb(count, 2) for count in Counter(labels).values())
