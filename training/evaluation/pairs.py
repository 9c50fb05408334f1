"""Pairs of images to verify, in folds: LFW's pairs.txt, or any CSV `first,second,same,fold`."""

from __future__ import annotations

import csv
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
    """N pairs of images, as indices into `images`, which are paths below the folder of images."""

    images: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]

    @cached_property
    def person_of(self) -> NDArray[np.int64] | None:
        """
        The person's number of each image, by its folder; None if folders are not people.

        They are not if a genuine pair comes from two folders, or an impostor pair from one.
        """
        folders = [str(PurePosixPath(image).parent) for image in self.images]
        person = np.unique(folders, return_inverse=True)[1].astype(np.int64)
        return person if np.array_equal(person[self.first] == person[self.second], self.same) else None

    def impostor_people_pairs(self, chosen: NDArray[np.bool_]) -> int:
        """Return the number of pairs of people, or of images if people are unknown, in the chosen impostor pairs."""
        who = np.arange(len(self.images)) if self.person_of is None else self.person_of
        impostors = chosen & ~self.same
        ends = np.stack([who[self.first[impostors]], who[self.second[impostors]]], axis=1)  # (I, 2)
        return len(np.unique(np.sort(ends, axis=1), axis=0))


def read_pairs(path: Path) -> PairList:
    """Read a CSV if the name ends in .csv, otherwise LFW's format. Raises UnusablePairs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusablePairs(f"cannot read {path}: {error}") from error
    return _from_csv(path, text) if path.suffix == ".csv" else _from_lfw(path, text)


def _from_csv(path: Path, text: str) -> PairList:
    """Read columns first, second, same (1 or 0) and optionally fold; without it pairs go to ten folds in turn."""
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or not {"first", "second", "same"} <= set(rows[0]):
        raise UnusablePairs(
            f"{path}, line 1: expected the columns first, second, same (and fold), and pairs below them"
        )
    for number, row in enumerate(rows, start=2):
        if not (row["first"] and row["second"] and row["same"] in ("0", "1")):
            raise UnusablePairs(f"{path}, line {number}: expected two images and 1 or 0, got {list(row.values())}")
    same = np.array([row["same"] == "1" for row in rows])
    folds = [row["fold"] for row in rows] if "fold" in rows[0] else [str(n % FOLDS) for n in range(len(rows))]
    fold = np.unique(folds, return_inverse=True)[1].astype(np.int64)
    if same.all() or not same.any() or not fold.any():
        raise UnusablePairs(f"{path}: expected genuine and impostor pairs in at least two folds")
    return _pair_list([(row["first"], row["second"]) for row in rows], same, fold)


def _from_lfw(path: Path, text: str) -> PairList:
    """
    Read LFW's format: the first line has the numbers of folds and of pairs of each kind per fold (`10 300`).

    Without such a line, as in RFW's lists, there are ten folds. In each fold the genuine pairs (`NAME 1 4`) come before
    the impostor pairs (`NAME 3 OTHER 7`).
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    without_header = bool(lines) and len(lines[0]) > 2
    folds, size = (FOLDS, len(lines) // (2 * FOLDS)) if without_header else _header(path, lines)
    rows = lines if without_header else lines[1:]
    if len(rows) != 2 * folds * size:
        raise UnusablePairs(f"{path}: expected {folds} folds of 2 x {size} pairs, got {len(rows)} pairs")
    named = [_images(path, number, row) for number, row in enumerate(rows, start=1 if without_header else 2)]
    return _pair_list(named, np.array([len(row) == 3 for row in rows]), np.arange(len(rows)) // (2 * size))


def _pair_list(named: list[tuple[str, str]], same: NDArray[np.bool_], fold: NDArray[np.int64]) -> PairList:
    images = sorted({image for pair in named for image in pair})
    index = {image: position for position, image in enumerate(images)}
    first, second = (np.array([index[pair[side]] for pair in named]) for side in (0, 1))
    return PairList(tuple(images), first, second, same, fold)


def _header(path: Path, lines: list[list[str]]) -> tuple[int, int]:
    try:
        first = [int(word) for word in lines[0]]
        return (first[0], first[1]) if len(first) == 2 else (FOLDS, first[0])
    except (IndexError, ValueError) as error:
        raise UnusablePairs(f"{path}, line 1: expected the number of folds and of pairs, as `10 300`") from error


def _images(path: Path, number: int, row: list[str]) -> tuple[str, str]:
    try:
        if len(row) == 3:
            return _image(row[0], row[1]), _image(row[0], row[2])
        if len(row) == 4:
            return _image(row[0], row[1]), _image(row[2], row[3])
    except ValueError:
        pass
    raise UnusablePairs(f"{path}, line {number}: expected `NAME 1 4` or `NAME 3 OTHER 7`, got {' '.join(row)!r}")


def _image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"
