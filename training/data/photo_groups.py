"""Photos in groups, such as cohorts of one age, sex or origin: one folder per group, or a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.sources import images_in, subfolders
from training.errors import TrainingError

COLUMNS = ("path", "group", "person")


class UnusablePhotoGroups(TrainingError):
    """A CSV file or folder cannot be used; the message names it, and the line."""


@dataclass(frozen=True)
class PhotoGroups:
    """N photos, the index in `names` of each one's group, and the person on each; `people` is None if unknown."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    group_of: NDArray[np.int64]
    people: tuple[str, ...] | None

    def select(self, kept: NDArray[np.bool_]) -> PhotoGroups:
        people = None if self.people is None else tuple(compress(self.people, kept))
        return PhotoGroups(tuple(compress(self.paths, kept)), self.names, self.group_of[kept], people)


def from_folders(root: Path) -> PhotoGroups:
    """Take every image below each folder of `root`; the people are unknown. Raises UnusablePhotoGroups."""
    found = [(path, folder.name) for folder in subfolders(root) for path in images_in(folder)]
    if not found:
        raise UnusablePhotoGroups(f"expected one folder per group with images in {root}")
    return _photo_groups([path for path, _ in found], [group for _, group in found], None)


def from_csv(path: Path, root: Path | None = None) -> PhotoGroups:
    """
    Read columns `path,group` and optionally `person`; paths are below `root`, or the CSV's own folder.

    Without the column `person`, the people are unknown. Raises UnusablePhotoGroups.
    """
    root = root or path.parent
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusablePhotoGroups(f"cannot read {path}: {error}") from error
    if not rows or not {"path", "group"} <= set(rows[0]):
        raise UnusablePhotoGroups(
            f"expected the columns {', '.join(COLUMNS[:2])} (and {COLUMNS[2]}) and some rows in {path}"
        )
    for number, row in enumerate(rows, start=2):
        if not (row["path"] and row["group"] and (root / row["path"]).is_file()):
            raise UnusablePhotoGroups(
                f"{path}, line {number}: expected an image and its group, got {list(row.values())}"
            )
    people = tuple(row["person"] or "" for row in rows) if "person" in rows[0] else None
    if people and not all(people):
        raise UnusablePhotoGroups(
            f"{path}, line {people.index('') + 2}: expected a person in every row, or no such column"
        )
    return _photo_groups([root / row["path"] for row in rows], [row["group"] for row in rows], people)


def _photo_groups(paths: list[Path], groups: list[str], people: tuple[str, ...] | None) -> PhotoGroups:
    names, group_of = np.unique(groups, return_inverse=True)
    return PhotoGroups(tuple(paths), tuple(names.tolist()), group_of.astype(np.int64), people)
