"""Who has which files: a folder with a folder a person, or a CSV file with the columns path and person."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_COLUMNS = ("path", "person")
_PACKED = {".rec", ".idx", ".lst", ".bin"}


class UnusableData(TrainingError):
    """A folder that is missing or empty, or fewer than two people."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A person: their name, where they are listed, and their files, each by the name it has there."""

    name: str
    place: Path
    files: dict[str, Path]


def people_of(root: Path) -> list[Listed]:
    """By name; UnusableData where there are none. A person is named root/folder, or file/person of a CSV."""
    if root.suffix.lower() == ".csv":
        return _of_csv(root)
    if root.suffix.lower() in _PACKED and not root.is_dir():
        raise UnusableData(
            f"{root} is packed by MXNet, which is retired, and no reader of it is maintained: "
            "unpack it into a folder a person with insightface's own scripts"
        )
    return _of_folder(root)


def _of_folder(root: Path) -> list[Listed]:
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not folders:
        raise UnusableData(f"want a folder with a folder a person at {root}, got {_what_is(root)}")
    return [Listed(f"{root.name}/{folder.name}", folder, _images(folder)) for folder in folders]


def _images(folder: Path) -> dict[str, Path]:
    """At any depth."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _of_csv(file: Path) -> list[Listed]:
    """Paths are relative to the CSV's folder."""
    people: dict[str, dict[str, Path]] = defaultdict(dict)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                raise UnusableData(f"want the columns path and person in {file}, got {reader.fieldnames or 'nothing'}")
            for row in reader:
                path, person = ((row[column] or "").strip() for column in _COLUMNS)
                if not (path and person):
                    raise UnusableData(f"want a path and a person in {file}, line {reader.line_num}, got {row}")
                people[person][path] = file.parent / path
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableData(f"{file} cannot be read: {error}") from error
    return [Listed(f"{file.stem}/{person}", file, people[person]) for person in sorted(people)]


def _what_is(root: Path) -> str:
    if root.is_dir():
        return "no folder in it"
    return "a file" if root.exists() else "nothing there"


def folder_per_person(root: Path) -> tuple[list[Path], NDArray[np.int64]]:
    """Every image below each folder of `root`, and the number of its folder; TrainingError where there are not two."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found = [
        (path, number)
        for number, folder in enumerate(folders)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if len({number for _, number in found}) < 2:
        raise TrainingError(f"want a folder a person, at least two with images, in {root}")
    return [path for path, _ in found], np.array([number for _, number in found], np.int64)
