"""Sources of faces: a folder with one folder per person, a CSV file with the columns path and person, packed files."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.packed_files import ImageFile
from training.data.packed_sources import People, people_in_record_file, people_in_shards
from training.data.suffixes import SUFFIXES
from training.errors import TrainingError

_COLUMNS = ("path", "person")
_ADVICE = {
    ".bin": "a list of pairs: measure it by `evaluate bin`",
    ".idx": "an index: give the .rec file beside it",
    ".lst": "a list: give the .rec file beside it",
}


class UnusableData(TrainingError):
    """A folder is missing or empty, or there are fewer than two people."""


@dataclass(frozen=True, slots=True)
class PersonFiles:
    """A person's name, the folder or file that lists them, and their images by the names used there."""

    name: str
    source: Path
    files: dict[str, ImageFile]


def list_people(root: Path) -> list[PersonFiles]:
    """
    Return the people in order of their names, root/folder or file/person.

    A root is a folder of folders or of tar shards, or a CSV, .tar or .rec file. Raises UnusableData or UnusablePack.
    """
    if root.is_dir():
        shards = sorted(root.glob("*.tar"))
        return _packed(root, root.name, people_in_shards(shards)) if shards else _from_folder(root)
    suffix = root.suffix.lower()
    if suffix == ".csv":
        return _from_csv(root)
    if suffix == ".tar":
        return _packed(root, root.stem, people_in_shards([root]))
    if suffix == ".rec":
        return _packed(root, root.stem, people_in_record_file(root))
    if suffix in _ADVICE:
        raise UnusableData(f"{root} is {_ADVICE[suffix]}")
    return _from_folder(root)


def _packed(root: Path, name: str, people: People) -> list[PersonFiles]:
    return [PersonFiles(f"{name}/{person}", root, files) for person, files in people.items()]


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
    people: People = defaultdict(dict)
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
