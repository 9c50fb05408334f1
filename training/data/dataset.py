"""Aligned crops of people: what is there, what is unusable, and the pixels of one."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.nouns import Pixels
from training.data.sources import SUFFIXES, Listed, UnusableData, people_of
from training.errors import TrainingError

__all__ = ["SUFFIXES", "FaceSet", "Skipped", "UnusableData", "UnusableImage", "read_crop", "read_faces"]

CROP_SIZE = 144
MARGIN = 16


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
    contents: tuple[str, ...]  # SHA-256 of each file
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

    def only(self, people: Sequence[int]) -> "FaceSet":
        """Of these people alone, renumbered in the order given."""
        faces = [int(face) for person in people for face in self.faces_of[person]]
        number = {person: place for place, person in enumerate(people)}
        names = tuple(self.names[person] for person in people)
        return replace(
            self,
            names=names,
            paths=tuple(self.paths[face] for face in faces),
            person_of=tuple(number[self.person_of[face]] for face in faces),
            contents=tuple(self.contents[face] for face in faces),
            digest=hashlib.sha256("\n".join([self.digest, *names]).encode()).hexdigest(),
        )


def read_faces(roots: Sequence[Path], *, minimum: int = 2, threads: int = 2) -> FaceSet:
    """All people under `roots` who have at least `minimum` readable crops; UnusableData where there are not two."""
    listed = [person for root in roots for person in people_of(root)]
    with ThreadPoolExecutor(threads) as pool:
        examined = list(pool.map(_examine, listed))
    kept = [found for found in examined if len(found.digests) >= minimum]
    skipped = tuple(skip for found in examined for skip in _skipped(found, minimum))
    if len(kept) < 2:
        wanted = f"want at least 2 people with {minimum} crops each under {_joined(roots)}"
        raise UnusableData(f"{wanted}, got {len(kept)}{_such_as(skipped)}")
    return _face_set(kept, skipped)


def read_crop(path: Path) -> Pixels:
    """RGB (144, 144, 3); UnusableImage where the file is no such image."""
    try:
        return _decode(path.read_bytes())
    except OSError as error:
        raise UnusableImage(f"{path} cannot be read any more: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Person:
    listed: Listed
    digests: dict[str, str]
    unusable: tuple[Skipped, ...]


def _examine(listed: Listed) -> _Person:
    digests, unusable = {}, []
    for name, path in listed.files.items():
        try:
            data = path.read_bytes()
            _decode(data)
        except OSError as error:
            unusable.append(Skipped(path, error.strerror or str(error)))
        except UnusableImage as error:
            unusable.append(Skipped(path, str(error)))
        else:
            digests[name] = hashlib.sha256(data).hexdigest()
    return _Person(listed, digests, tuple(unusable))


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
        one = person.listed
        where = one.place if one.place.is_dir() else Path(one.name)
        yield Skipped(where, f"{len(person.digests)} usable crops, want {minimum}")


def _such_as(skipped: Sequence[Skipped]) -> str:
    return f"; {len(skipped)} skipped, such as {skipped[0].path}: {skipped[0].reason}" if skipped else ""


def _face_set(people: Sequence[_Person], skipped: tuple[Skipped, ...]) -> FaceSet:
    digest = hashlib.sha256()
    for person in people:
        for name, content in person.digests.items():
            digest.update(f"{person.listed.name}/{name} {content}\n".encode())
    return FaceSet(
        names=tuple(person.listed.name for person in people),
        paths=tuple(person.listed.files[name] for person in people for name in person.digests),
        person_of=tuple(number for number, person in enumerate(people) for _ in person.digests),
        contents=tuple(content for person in people for content in person.digests.values()),
        skipped=skipped,
        digest=digest.hexdigest(),
    )


def _joined(roots: Sequence[Path]) -> str:
    return ", ".join(map(str, roots)) or "no folder at all"
