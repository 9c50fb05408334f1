"""
Every image compared with every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from training.pipeline.embeddings import Embeddings


@dataclass(frozen=True)
class AllPairs:
    """Ascending scores (G,) of genuine and (I,) of impostor pairs, with the person, or both people, of each pair."""

    genuine: Floats
    genuine_person: NDArray[np.int32]
    impostors: Floats
    impostor_people: NDArray[np.int32]  # (I, 2)
    people: int
    images_of: NDArray[np.int64]  # (people,)

    @cached_property
    def impostor_people_pairs(self) -> int:
        """The number of pairs of people that the impostor pairs come from."""
        people = int((self.images_of > 0).sum())
        return people * (people - 1) // 2


def all_pairs(probes: Embeddings, references: Embeddings, person_of: NDArray[np.int64]) -> AllPairs:
    """Compare `probes`[i] with `references`[j] for i < j; both are of the same people, `person_of` (N,)."""
    person_of = person_of.astype(np.int32)
    rows, columns = np.triu_indices(len(probes), 1)
    scores = probes.scores(references)[rows, columns]
    same = person_of[rows] == person_of[columns]
    near, far = np.argsort(scores[same], kind="stable"), np.argsort(scores[~same], kind="stable")
    return AllPairs(
        genuine=scores[same][near],
        genuine_person=person_of[rows[same]][near],
        impostors=scores[~same][far],
        impostor_people=np.stack([person_of[rows[~same]], person_of[columns[~same]]], axis=1)[far],
        people=int(person_of.max()) + 1,
        images_of=np.bincount(person_of),
    )
