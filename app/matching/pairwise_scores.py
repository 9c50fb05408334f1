"""Pairwise precision and recall of a clustering, against known people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb


@dataclass(frozen=True, slots=True)
class PairwiseScores:
    """Numbers of pairs of photos: in one group, of one person, and both. A share of no pairs is 1."""

    grouped: int
    same_person: int
    both: int

    @property
    def precision(self) -> float:
        """Return the share of the grouped pairs that are one person's."""
        return self.both / self.grouped if self.grouped else 1.0

    @property
    def recall(self) -> float:
        """Return the share of one person's pairs that are grouped."""
        return self.both / self.same_person if self.same_person else 1.0


def pairwise_scores(groups: Sequence[Hashable], people: Sequence[Hashable]) -> PairwiseScores:
    """Compare the group and the person of each photo."""
    both = list(zip(groups, people, strict=True))
    return PairwiseScores(_equal_pairs(groups), _equal_pairs(people), _equal_pairs(both))


def _equal_pairs(labels: Sequence[Hashable]) -> int:
    return sum(comb(count, 2) for count in Counter(labels).values())
