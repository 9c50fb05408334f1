"""P x K batches: P people, K faces of each. A batch is a function of (seed, step), so its number is all its state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.randomness import Stream, generator

Indices = NDArray[np.int64]


class TooFewPeople(TrainingError):
    """Fewer people than a batch needs."""


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
            raise TooFewPeople(f"want at least {self.people} people for a batch, got {len(self.faces_of)}")

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
