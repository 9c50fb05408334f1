"""
Samplers of P x K batches (P people, K faces of each), and of batches of triplets that were mined before.

A batch is a function of (seed, step), so a sampler has no state to save.
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
    """There are fewer people than a batch needs."""


class TooFewFaces(TrainingError):
    """Nobody has two faces, so there is no genuine pair to learn from."""


@dataclass(frozen=True, slots=True, eq=False)
class PeopleSampler:
    """
    Draws every person once per epoch, reshuffled each time; a remainder that fills no batch is left out.

    `faces_of[p]` are the face indices of person p. If a person has fewer than K faces, each is repeated `K // count`
    times or once more: the augmentation makes different views of them.
    """

    faces_of: Sequence[Indices]
    people: int
    faces: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.faces_of) < self.people:
            expected = f"expected at least {self.people} people for a batch, got {len(self.faces_of)}"
            raise TooFewPeople(f"{expected}: lower batch.people or add people")

    @property
    def triplets(self) -> None:
        """None, because triplets are mined in the batch."""
        return None

    def warning(self) -> str | None:
        """Return a warning if most people have fewer than K faces. Raises TooFewFaces if all have one."""
        if max(map(len, self.faces_of)) < 2:
            raise TooFewFaces("expected people with two faces or more, got one of each: add images of the same people")
        few = sum(len(faces) < self.faces for faces in self.faces_of)
        if few * 2 <= len(self.faces_of):
            return None
        return (
            f"{few} of {len(self.faces_of)} people have fewer than {self.faces} faces, so batches repeat them: "
            "lower batch.faces or add images"
        )

    def batch(self, step: int) -> Indices:
        """Return face indices (P * K,), the K faces of a person side by side."""
        random = generator(self.seed, Stream.FACES, step)
        return np.concatenate([_draw(self.faces_of[person], self.faces, random) for person in self._people(step)])

    def _people(self, step: int) -> Indices:
        batches = len(self.faces_of) // self.people
        epoch, index = divmod(step, batches)
        order = generator(self.seed, Stream.PEOPLE, epoch).permutation(len(self.faces_of))
        return order[index * self.people : (index + 1) * self.people]  # (P,)


def _draw(faces: Indices, count: int, random: np.random.Generator) -> Indices:
    repeats = -(-count // len(faces))
    return np.concatenate([random.permutation(faces) for _ in range(repeats)])[:count]  # (K,)


@dataclass(frozen=True, slots=True, eq=False)
class FillingSampler:
    """
    Draws people in random order, at most `faces` of each, until a batch has `count` different faces.

    As `sample_people` of davidsandberg/facenet: people with fewer faces are made up for by further people, and the last
    one gives only what is missing.
    """

    faces_of: Sequence[Indices]
    count: int
    faces: int
    seed: int

    def __post_init__(self) -> None:
        if (usable := usable_faces(self.faces_of, self.faces)) < self.count:
            expected = f"expected at least {self.count} faces for a batch, at most {self.faces} of each person"
            raise TooFewFaces(f"{expected}, got {usable}: lower batch.people or batch.faces, or add images")

    @property
    def triplets(self) -> None:
        """None, because triplets are mined in the batch."""
        return None

    def warning(self) -> None:
        """Return no warning, since no face is repeated."""
        return

    def batch(self, step: int) -> Indices:
        """Return face indices (count,), those of a person side by side."""
        random = generator(self.seed, Stream.FACES, step)
        drawn: list[Indices] = []
        for person in generator(self.seed, Stream.PEOPLE, step).permutation(len(self.faces_of)):
            if (missing := self.count - sum(map(len, drawn))) <= 0:
                break
            drawn.append(random.permutation(self.faces_of[person])[: min(self.faces, missing)])
        return np.concatenate(drawn)


def usable_faces(faces_of: Sequence[Indices], most: int) -> int:
    """Return the number of faces, counting at most `most` of each person."""
    return sum(min(len(faces), most) for faces in faces_of)


@dataclass(frozen=True, slots=True, eq=False)
class TripletSampler:
    """
    Draws `count` of the `mined` triplets (M, 3) of face indices per batch: each once per epoch, reshuffled each time.

    Epochs are counted from the step `first` on. Triplet t of a batch has its anchor, positive and negative at the
    positions 3 t, 3 t + 1 and 3 t + 2.
    """

    mined: Indices
    count: int
    seed: int
    first: int = 0

    def batch(self, step: int) -> Indices:
        step -= self.first
        drawn = np.arange(step * self.count, (step + 1) * self.count)
        epochs, indices = np.divmod(drawn, len(self.mined))
        orders = {epoch: self._order(epoch) for epoch in np.unique(epochs).tolist()}
        return np.concatenate([self.mined[orders[epoch][k]] for epoch, k in zip(epochs.tolist(), indices, strict=True)])

    @property
    def triplets(self) -> Triplets:
        first = torch.arange(0, 3 * self.count, 3)
        return Triplets(first, first + 1, first + 2)

    def _order(self, epoch: int) -> Indices:
        return generator(self.seed, Stream.TRIPLETS, epoch).permutation(len(self.mined))
