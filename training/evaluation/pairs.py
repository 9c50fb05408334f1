"""Pairs of images to verify, in folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

FOLDS = 10


class UnusablePairs(TrainingError):
    """A file of pairs cannot be used; the message names it and the line."""


@dataclass(frozen=True)
class PairList:
    """
    N pairs of images, as indices into `images`, which are paths below the folder of images.

    `people` has the person's name of each image; if it is empty, folders are people.
    """

    images: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]
    people: tuple[str, ...] = ()

    @cached_property
    def person_of(self) -> NDArray[np.int64] | None:
        """
        The person's number of each image, by its name or folder; None if they are not people.

        They are not if a genuine pair has two of them, or an impostor pair has one.
        """
        names = self.people or [str(PurePosixPath(image).parent) for image in self.images]
        person = np.unique(names, return_inverse=True)[1].astype(np.int64)
        return person if np.array_equal(person[self.first] == person[self.second], self.same) else None

    def impostor_people_pairs(self, chosen: NDArray[np.bool_]) -> int:
        """Return the number of pairs of people, or of images if people are unknown, in the chosen impostor pairs."""
        who = np.arange(len(self.images)) if self.person_of is None else self.person_of
        impostors = chosen & ~self.same
        ends = np.stack([who[self.first[impostors]], who[self.second[impostors]]], axis=1)  # (I, 2)
        return len(np.unique(np.sort(ends, axis=1), axis=0))


def pair_list(
    named: Sequence[tuple[str, str]],
    same: NDArray[np.bool_],
    fold: NDArray[np.int64],
    person: Callable[[str], str] | None = None,
) -> PairList:
    """Return the pairs of images by their paths; `person` names the person of a path, by default the folder."""
    images = sorted({image for pair in named for image in pair})
    index = {image: position for position, image in enumerate(images)}
    first, second = (np.array([index[pair[side]] for pair in named]) for side in (0, 1))
    return PairList(tuple(images), first, second, same, fold, tuple(map(person, images)) if person else ())


def read_text(path: Path) -> str:
    """Return the text of a list. Raises UnusablePairs."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusablePairs(f"cannot read {path}: {error}") from error
