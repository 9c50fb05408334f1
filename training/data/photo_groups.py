"""Photos in groups: a folder a group, or a CSV. For cohorts: people alike in age, sex or origin."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.sources import SUFFIXES
from training.errors import TrainingError

COLUMNS = ("path", "group", "person")


class UnusableGroups(TrainingError):
    """The message names the file, and the line or the folder."""


@dataclass(frozen=True)
class Grouped:
    """N photos with the number of their group in `names`; `person` names who is on it, None where that is not said."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    group_of: NDArray[np.int64]
    people: tuple[str, ...] | None

    def of(self, kept: NDArray[np.bool_]) -> Grouped:
        people = None if self.people is None else tuple(compress(self.people, kept))
        return Grouped(tuple(compress(self.paths, kept)), self.names, self.group_of[kept], people)


def from_folders(root: Path) -> Grouped:
    """Every image below each folder of `root`; nobody is said to be on two. Raises UnusableGroups."""
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    found = [(path, folder.name) for folder in folders for path in _images(folder)]
    if not found:
        raise UnusableGroups(f"want a folder a group with images in {root}")
    return _grouped([path for path, _ in found], [group for _, group in found], None)


def from_csv(path: Path, root: Path | None = None) -> Grouped:
    """
    Columns `path,group` and perhaps `person`; paths are below `root`, or the CSV's own folder. Raises UnusableGroups.

    Two photos of one `person` are one person's in every group; without the column each photo shows somebody else.
    """
    root = root or path.parent
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableGroups(f"cannot read {path}: {error}") from error
    if not rows or not {"path", "group"} <= set(rows[0]):
        raise UnusableGroups(f"want the columns {', '.join(COLUMNS[:2])} (and {COLUMNS[2]}) and some rows in {path}")
    for number, row in enumerate(rows, start=2):
        if not (row["path"] and row["group"] and (root / row["path"]).is_file()):
            raise UnusableGroups(f"{path}, line {number}: want an image and its group, got {list(row.values())}")
    people = tuple(row["person"] or "" for row in rows) if "person" in rows[0] else None
    if people and not all(people):
        raise UnusableGroups(f"{path}, line {people.index('') + 2}: want a person in every row, or no such column")
    return _grouped([root / row["path"] for row in rows], [row["group"] for row in rows], people)


def _images(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]


def _grouped(paths: list[Path], groups: list[str], people: tuple[str, ...] | None) -> Grouped:
    names, group_of = np.unique(groups, return_inverse=True)
    return Grouped(tuple(paths), tuple(names.tolist()), group_of.astype(np.int64), people)
