"""LFW's pairs.txt: folds of genuine and impostor pairs of images named NAME/NAME_0001.jpg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError


class UnusablePairs(TrainingError):
    """The message names the file and the line."""


@dataclass(frozen=True)
class PairList:
    """N pairs of images, by index into `images`, which are paths below the images' folder."""

    images: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]


def read_pairs(path: Path) -> PairList:
    """
    The first line says how many folds and pairs of each kind a fold has (`10 300`); each fold has its genuine pairs
    first. `NAME 1 4` is a genuine pair, `NAME 3 OTHER 7` an impostor pair. Raises UnusablePairs.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UnusablePairs(f"cannot read {path}: {error}") from error
    folds, size = _header(path, lines)
    rows = lines[1:]
    if len(rows) != 2 * folds * size:
        raise UnusablePairs(f"{path}: want {folds} folds of 2 x {size} pairs, got {len(rows)} pairs")
    named = [_images(path, number, row) for number, row in enumerate(rows, start=2)]
    images = sorted({image for pair in named for image in pair})
    index = {image: position for position, image in enumerate(images)}
    return PairList(
        images=tuple(images),
        first=np.array([index[pair[0]] for pair in named]),
        second=np.array([index[pair[1]] for pair in named]),
        same=np.array([len(row) == 3 for row in rows]),
        fold=np.arange(len(rows)) // (2 * size),
    )


def _header(path: Path, lines: list[list[str]]) -> tuple[int, int]:
    try:
        first = [int(word) for word in lines[0]]
        return (first[0], first[1]) if len(first) == 2 else (10, first[0])
    except (IndexError, ValueError) as error:
        raise UnusablePairs(f"{path}, line 1: want the number of folds and of pairs, as `10 300`") from error


def _images(path: Path, number: int, row: list[str]) -> tuple[str, str]:
    try:
        if len(row) == 3:
            return _image(row[0], row[1]), _image(row[0], row[2])
        if len(row) == 4:
            return _image(row[0], row[1]), _image(row[2], row[3])
    except ValueError:
        pass
    raise UnusablePairs(f"{path}, line {number}: want `NAME 1 4` or `NAME 3 OTHER 7`, got {' '.join(row)!r}")


def _image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"
