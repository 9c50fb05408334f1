"""
P x K batches: P people, K faces of each; or batches of triplets that were mined beforehand.

A batch is a function of (seed, step), so its number is all its state.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.miners.triplets import Triplets
from training.randomness import Stream, generator

Indices = NDArray[np.int64]


class TooFewPeople(TrainingError):
    """Fewer people than a batch needs."""


class TooFewFaces(TrainingError):
    """No one has two faces: there is no genuine pair to learn from."""


@dataclass(frozen=True, slots=True, eq=False)
class PeopleSampler:
    """
    Every person comes once in a pass; the rest of a pass, if it fills no batch, sits out. Each pass is shuffled anew.

    `faces_of[p]` are the face indices of person p. Of a person with fewer than K faces each comes at least
    `K // count` times and at most once more: the augmentation makes different views of them.
    """

    faces_of: Sequence[Indices]
    people: int
    faces: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.faces_of) < self.people:
            wanted = f"want at least {self.people} people for a batch, got {len(self.faces_of)}"
            raise TooFewPeople(f"{wanted}: lower batch.people or add people")

    @property
    def triplets(self) -> None:
        """None: they are mined in the batch."""
        return None

    def complaint(self) -> str | None:
        """What to change where more than half of the people have fewer than K faces; TooFewFaces where all have one."""
        if max(map(len, self.faces_of)) < 2:
            raise TooFewFaces("want people with two faces or more, got one of each: add images of the same people")
        few = sum(len(faces) < self.faces for faces in self.faces_of)
        if few * 2 <= len(self.faces_of):
            return None
        return (
            f"{few} of {len(self.faces_of)} people have fewer than {self.faces} faces, so that batches repeat them: "
            "lower batch.faces or add images"
        )

    def batch(self, step: int) -> Indices:
        """Face indices (P * K,), the K faces of a person side by side."""
        random = generator(self.seed, Stream.FACES, step)
        return np.concatenate([_draw(self.faces_of[person], self.faces, random) for person in self._people(step)])

    def _people(self, step: int) -> Indices:
        batches = len(self.faces_of) // self.people
        turn, place = divmod(step, batches)
        order = generator(self.seed, Stream.PEOPLE, turn).permutation(len(self.faces_of))
        return order[place * self.people : (place + 1) * self.people]  # (P,)


def _draw(faces: Indices, count: int, random: np.random.Generator) -> Indices:
    rounds = -(-count // len(faces))
    return np.concatenate([random.permutation(faces) for _ in range(rounds)])[:count]  # (K,)


@dataclass(frozen=True, slots=True, eq=False)
class TripletSampler:
    """
    Batches of `count` of the `mined` triplets (M, 3) of face indices: each comes once in a pass, shuffled anew.

    The faces of triplet t are at the places 3 t, 3 t + 1 and 3 t + 2: anchor, positive, negative.
    """

    mined: Indices
    count: int
    seed: int

    def batch(self, step: int) -> Indices:
        places = np.arange(step * self.count, (step + 1) * self.count)
        turns, within = np.divmod(places, len(self.mined))
        orders = {turn: self._order(turn) for turn in np.unique(turns).tolist()}
        return np.concatenate([self.mined[orders[turn][k]] for turn, k in zip(turns.tolist(), within, strict=True)])

    @property
    def triplets(self) -> Triplets:
        first = torch.arange(0, 3 * self.count, 3)
        return Triplets(first, first + 1, first + 2)

    def _order(self, turn: int) -> Indices:
        return generator(self.seed, Stream.TRIPLETS, turn).permutation(len(self.mined))
