"""Aligned crops in a folder a person: what is there, what is unusable, and the pixels of one."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.nouns import Pixels
from training.errors import TrainingError

CROP_SIZE = 144
MARGIN = 16
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class UnusableData(TrainingError):
    """A folder that is missing or empty, or fewer than two people."""


class UnusableImage(TrainingError):
    """A file that is no aligned crop."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FaceSet:
    """N faces of P people. A person is named root/folder, so equal folder names under two roots are two people."""

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    person_of: tuple[int, ...]
    skipped: tuple[Skipped, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def people(self) -> NDArray[np.int64]:
        """The person's number of each face, (N,)."""
        return np.array(self.person_of, dtype=np.int64)

    @cached_property
    def faces_of(self) -> tuple[NDArray[np.int64], ...]:
        """The face indices of each person."""
        return tuple(np.flatnonzero(self.people == person) for person in range(len(self.names)))


def read_faces(roots: Sequence[Path], *, minimum: int = 2, threads: int = 2) -> FaceSet:
    """All people under `roots` who have at least `minimum` readable crops; UnusableData where there are not two."""
    folders = [folder for root in roots for folder in _people_folders(root)]
    with ThreadPoolExecutor(threads) as pool:
        examined = list(pool.map(_examine, folders))
    kept = [found for found in examined if len(found.digests) >= minimum]
    skipped = [skip for found in examined for skip in _skipped(found, minimum)]
    if len(kept) < 2:
        raise UnusableData(f"want at least 2 people with {minimum} crops each under {_listed(roots)}, got {len(kept)}")
    return _face_set(kept, skipped)


def read_crop(path: Path) -> Pixels:
    """RGB (144, 144, 3); UnusableImage where the file is no such image."""
    return _decode(path.read_bytes())


@dataclass(frozen=True, slots=True)
class _Person:
    folder: Path
    digests: dict[Path, str]
    unusable: tuple[Skipped, ...]


def _people_folders(root: Path) -> list[Path]:
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not folders:
        raise UnusableData(f"want a folder with a folder a person at {root}, got {_what_is(root)}")
    return folders


def _what_is(root: Path) -> str:
    if root.is_dir():
        return "no folder in it"
    return "a file" if root.exists() else "nothing there"


def _examine(folder: Path) -> _Person:
    digests, unusable = {}, []
    for path in _images(folder):
        try:
            data = path.read_bytes()
            _decode(data)
        except (OSError, UnusableImage) as error:
            unusable.append(Skipped(path, str(error)))
        else:
            digests[path] = hashlib.sha256(data).hexdigest()
    return _Person(folder, digests, tuple(unusable))


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file())


def _decode(data: bytes) -> Pixels:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if image is None:
        raise UnusableImage("no readable image")
    if image.shape != (CROP_SIZE, CROP_SIZE, 3):
        raise UnusableImage(f"want {CROP_SIZE} x {CROP_SIZE} pixels, got {image.shape[1]} x {image.shape[0]}")
    return image.astype(np.uint8, copy=False)


def _skipped(person: _Person, minimum: int) -> Iterator[Skipped]:
    yield from person.unusable
    if len(person.digests) < minimum:
        yield Skipped(person.folder, f"{len(person.digests)} usable crops, want {minimum}")


def _face_set(people: Sequence[_Person], skipped: Sequence[Skipped]) -> FaceSet:
    names = tuple(f"{person.folder.parent.name}/{person.folder.name}" for person in people)
    digest = hashlib.sha256()
    for name, person in zip(names, people, strict=True):
        for path, content in person.digests.items():
            digest.update(f"{name}/{path.relative_to(person.folder).as_posix()} {content}\n".encode())
    return FaceSet(
        names=names,
        paths=tuple(path for person in people for path in person.digests),
        person_of=tuple(number for number, person in enumerate(people) for _ in person.digests),
        skipped=tuple(skipped),
        digest=digest.hexdigest(),
    )


def _listed(roots: Sequence[Path]) -> str:
    return ", ".join(map(str, roots)) or "no folder at all"
