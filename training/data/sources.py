"""Sources of faces: a folder with one folder per person, or a CSV file with the columns path and person."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm"),
}
"""The names of images; whether one can be read is seen when it is read."""
_COLUMNS = ("path", "person")
_PACKED = {".rec", ".idx", ".lst", ".bin"}


class UnusableData(TrainingError):
    """A folder is missing or empty, or there are fewer than two people."""


@dataclass(frozen=True, slots=True)
class PersonFiles:
    """A person's name, the folder or CSV file that lists them, and their files by the names used there."""

    name: str
    source: Path
    files: dict[str, Path]


def list_people(root: Path) -> list[PersonFiles]:
    """Return the people in order of their names, root/folder or file/person of a CSV. Raises UnusableData."""
    if root.suffix.lower() == ".csv":
        return _from_csv(root)
    if root.suffix.lower() in _PACKED and not root.is_dir():
        raise UnusableData(
            f"{root} is a file of MXNet, which is retired and cannot be read: "
            "unpack it into one folder per person with insightface's scripts"
        )
    return _from_folder(root)


def _from_folder(root: Path) -> list[PersonFiles]:
    folders = subfolders(root)
    if not folders:
        raise UnusableData(f"expected one folder per person in {root}, got {_kind_of(root)}")
    return [
        PersonFiles(
            f"{root.name}/{folder.name}",
            folder,
            {path.relative_to(folder).as_posix(): path for path in images_in(folder)},
        )
        for folder in folders
    ]


def subfolders(root: Path) -> list[Path]:
    """Return the folders in `root`, except hidden ones, whose names begin with a dot."""
    return (
        sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path, root)) if root.is_dir() else []
    )


def images_in(folder: Path) -> list[Path]:
    """Return the image files at any depth, in order of their paths, except hidden ones."""
    return [path for path in files_in(folder) if path.suffix.lower() in SUFFIXES]


def files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not is_hidden(path, folder)]


def is_hidden(path: Path, root: Path) -> bool:
    """Return whether the file, or a folder between it and `root`, is hidden."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def unused_files(root: Path) -> dict[Path, str]:
    """Return the files below `root` that are no photo of anybody, each with the reason."""
    reasons = {}
    for path in files_in(root):
        if path.parent == root:
            reasons[path] = "expected one folder per person, got a file beside the folders"
        elif path.suffix.lower() not in SUFFIXES:
            reasons[path] = f"expected an image, got a name that ends in {path.suffix or 'nothing'}"
    return reasons


def _from_csv(file: Path) -> list[PersonFiles]:
    """Read paths relative to the CSV's folder."""
    people: dict[str, dict[str, Path]] = defaultdict(dict)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                raise UnusableData(
                    f"expected the columns path and person in {file}, got {reader.fieldnames or 'nothing'}"
                )
            for row in reader:
                path, person = ((row[column] or "").strip() for column in _COLUMNS)
                if not (path and person):
                    raise UnusableData(f"expected a path and a person in {file}, line {reader.line_num}, got {row}")
                people[person][path] = file.parent / path
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableData(f"{file} cannot be read: {error}") from error
    return [PersonFiles(f"{file.stem}/{person}", file, people[person]) for person in sorted(people)]


def _kind_of(root: Path) -> str:
    if root.is_dir():
        return "no folder in it"
    return "a file" if root.exists() else "nothing"


def folder_per_person(root: Path) -> tuple[list[Path], NDArray[np.int64]]:
    """Return every image below each folder of `root`, and the number of its folder. Raises UnusableData if not two."""
    found = [(path, number) for number, folder in enumerate(subfolders(root)) for path in images_in(folder)]
    if len({number for _, number in found}) < 2:
        raise UnusableData(f"expected one folder per person, at least two with images, in {root}")
    return [path for path, _ in found], np.array([number for _, number in found], np.int64)
