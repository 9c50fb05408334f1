"""
Every image against every other, and the bootstrap over people that tells how sure the rates are.

Pairs that share a person are not independent, so whole people are drawn again, not pairs: a person drawn w times gives
its genuine pairs the weight w, and an impostor pair has the product of its two people's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.domain.nouns import Floats
from app.matching.distance import distances_between


@dataclass(frozen=True)
class AllPairs:
    """Distances (G,) and (I,), ascending, with the person, or both people, of each pair."""

    genuine: Floats
    genuine_person: NDArray[np.int32]
    impostors: Floats
    impostor_people: NDArray[np.int32]  # (I, 2)
    people: int
    images_of: NDArray[np.int64]  # (people,)

    @cached_property
    def impostor_people_pairs(self) -> int:
        """How many pairs of people are behind the impostor pairs."""
        people = int((self.images_of > 0).sum())
        return people * (people - 1) // 2


def all_pairs(probes: Floats, references: Floats, person_of: NDArray[np.int64]) -> AllPairs:
    """Each pair i < j once: `probes`[i] against `references`[j]; both (N, D) unit vectors, of person (N,)."""
    person_of = person_of.astype(np.int32)
    rows, columns = np.triu_indices(len(probes), 1)
    distances = distances_between(probes, references)[rows, columns]
    same = person_of[rows] == person_of[columns]
    near, far = np.argsort(distances[same], kind="stable"), np.argsort(distances[~same], kind="stable")
    return AllPairs(
        genuine=distances[same][near],
        genuine_person=person_of[rows[same]][near],
        impostors=distances[~same][far],
        impostor_people=np.stack([person_of[rows[~same]], person_of[columns[~same]]], axis=1)[far],
        people=int(person_of.max()) + 1,
        images_of=np.bincount(person_of),
    )
