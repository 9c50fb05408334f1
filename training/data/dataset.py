"""The faces to train on: aligned crops of people, those that are unusable, and the pixels of a crop."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Pixels
from training.data.crops import CROPS_112, CropGeometry, geometry_of_side
from training.data.exclusions import NOTHING, Exclusions
from training.data.file_index import Examined, FileIndex, state_of
from training.data.packed_files import ImageFile
from training.data.sources import PersonFiles, UnusableData, list_people
from training.errors import TrainingError


@dataclass(frozen=True, slots=True)
class CropFormat:
    """
    The geometry that a run trains on; with `rescaled`, crops of other geometries are resized to it, and with `bare`,
    crops of its size without a margin get a black one.
    """

    geometry: CropGeometry = CROPS_112
    rescaled: bool = False
    bare: bool = False

    def accepts(self, side: int) -> bool:
        return (
            side == self.geometry.side
            or (self.bare and side == self.geometry.size)
            or (self.rescaled and geometry_of_side(side) is not None)
        )

    def converted(self, crop: Pixels) -> Pixels:
        """Return an accepted crop in the geometry of the run."""
        if self.bare and len(crop) == self.geometry.size:
            margin = self.geometry.margin
            return np.pad(crop, ((margin, margin), (margin, margin), (0, 0)))
        source = geometry_of_side(len(crop))
        return source.converted(crop, self.geometry) if source else crop


FORMAT_112 = CropFormat()


class UnusableImage(TrainingError):
    """A file is not an aligned crop."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or person that was left out, and the reason."""

    path: ImageFile
    reason: str


@dataclass(frozen=True)
class FaceSet:
    """N faces of P people, each named root/folder, so that equal folder names under two roots are two people."""

    names: tuple[str, ...]
    paths: tuple[ImageFile, ...]
    person_of: tuple[int, ...]
    file_digests: tuple[str, ...]  # SHA-256 of each file
    skipped: tuple[Skipped, ...]
    digest: str
    format: CropFormat = FORMAT_112
    files: tuple[str, ...] = ()  # root/folder/file of each, by which lists of excluded files name them

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The person's number of each face, (N,)."""
        return np.array(self.person_of, dtype=np.int64)

    @cached_property
    def faces_of(self) -> tuple[NDArray[np.int64], ...]:
        """The face indices of each person."""
        counts = np.bincount(self.labels, minlength=len(self.names))  # (P,)
        return tuple(np.split(np.argsort(self.labels, kind="stable"), np.cumsum(counts)[:-1]))

    def one_person_per_face(self) -> "FaceSet":
        """Return the same faces, each as a person of its own, where it does not matter who they are."""
        names = tuple(f"{self.names[person]}/{face}" for face, person in enumerate(self.person_of))
        return replace(self, names=names, person_of=tuple(range(len(self))))

    def subset(self, people: Sequence[int]) -> "FaceSet":
        """Return the faces of these people, renumbered in the order given."""
        faces = [int(face) for person in people for face in self.faces_of[person]]
        number = {person: index for index, person in enumerate(people)}
        names = tuple(self.names[person] for person in people)
        return replace(
            self,
            names=names,
            paths=tuple(self.paths[face] for face in faces),
            person_of=tuple(number[self.person_of[face]] for face in faces),
            file_digests=tuple(self.file_digests[face] for face in faces),
            files=tuple(self.files[face] for face in faces),
            digest=hashlib.sha256("\n".join([self.digest, *names]).encode()).hexdigest(),
        )


def read_faces(
    roots: Sequence[Path],
    *,
    minimum: int = 2,
    threads: int = 2,
    index: FileIndex | None = None,
    crops: CropFormat = FORMAT_112,
    excluded: Exclusions = NOTHING,
) -> FaceSet:
    """
    Return all people under `roots` with at least `minimum` readable crops. Raises UnusableData if fewer than two.

    Files that `index` knows are not read again.
    """
    people = excluded.applied([person for root in roots for person in list_people(root)])
    index = index or FileIndex()
    with ThreadPoolExecutor(threads) as pool:
        examined = list(pool.map(partial(_examine, index=index, crops=crops), people))
    kept = [person for person in examined if len(person.digests) >= minimum]
    skipped = tuple(skip for person in examined for skip in _skipped(person, minimum))
    if len(kept) < 2:
        expected = f"expected at least 2 people with {minimum} crops each under {_comma_separated(roots)}"
        raise UnusableData(f"{expected}, got {len(kept)}{_example(skipped)}{_size_advice(skipped, crops)}")
    return _face_set(kept, skipped, crops)


def read_crop(path: ImageFile, crops: CropFormat = FORMAT_112) -> Pixels:
    """Return the RGB pixels with their margin, (side, side, 3). Raises UnusableImage."""
    try:
        return crops.converted(_decode(path.read_bytes(), crops))
    except OSError as error:
        raise UnusableImage(f"{path} cannot be read any more: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _ExaminedPerson:
    source: PersonFiles
    digests: dict[str, str]
    unusable: tuple[Skipped, ...]


def _examine(person: PersonFiles, index: FileIndex, crops: CropFormat) -> _ExaminedPerson:
    digests, unusable = {}, []
    for name, path in person.files.items():
        try:
            digests[name] = _digest(path, index, crops)
        except OSError as error:
            unusable.append(Skipped(path, error.strerror or str(error)))
        except UnusableImage as error:
            unusable.append(Skipped(path, str(error)))
    return _ExaminedPerson(person, digests, tuple(unusable))


def _digest(path: ImageFile, index: FileIndex, crops: CropFormat) -> str:
    """Return the SHA-256 of a crop; a new or changed file is read and decoded. Raises UnusableImage or OSError."""
    state = state_of(path)
    known = index.find(path, state)
    if known and crops.accepts(known.side):
        return known.digest
    data = path.read_bytes()
    side = len(_decode(data, crops))
    digest = hashlib.sha256(data).hexdigest()
    index.add(path, state, Examined(digest, side))
    return digest


def _decode(data: bytes, crops: CropFormat) -> Pixels:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if image is None:
        raise UnusableImage("no readable image")
    height, width = image.shape[:2]
    if height != width or not crops.accepts(width):
        side = crops.geometry.side
        raise UnusableImage(f"expected {side} x {side} pixels, got {width} x {height}")
    return image.astype(np.uint8, copy=False)


def _skipped(person: _ExaminedPerson, minimum: int) -> Iterator[Skipped]:
    yield from person.unusable
    if len(person.digests) < minimum:
        source = person.source.source
        path = source if source.is_dir() else Path(person.source.name)
        yield Skipped(path, f"expected {minimum} usable crops, got {len(person.digests)}")


def _example(skipped: Sequence[Skipped]) -> str:
    return f"; {len(skipped)} skipped, such as {skipped[0].path}: {skipped[0].reason}" if skipped else ""


def _size_advice(skipped: Sequence[Skipped], crops: CropFormat) -> str:
    """Return what to do where most of the images are crops for a network of another size."""
    if not any(skip.reason.startswith("expected") and " pixels, got " in skip.reason for skip in skipped):
        return ""
    if any(skip.reason.endswith(f"got {crops.geometry.size} x {crops.geometry.size}") for skip in skipped):
        return ": these are crops without a margin; prepare them again, or set data.bare to true"
    return (
        f": this network takes crops of {crops.geometry.size} px and their margin; prepare them with --network, "
        "or set data.rescaled to true"
    )


def _face_set(people: Sequence[_ExaminedPerson], skipped: tuple[Skipped, ...], crops: CropFormat) -> FaceSet:
    digest = hashlib.sha256()
    for person in people:
        for name, content in person.digests.items():
            digest.update(f"{person.source.name}/{name} {content}\n".encode())
    return FaceSet(
        names=tuple(person.source.name for person in people),
        paths=tuple(person.source.files[name] for person in people for name in person.digests),
        person_of=tuple(number for number, person in enumerate(people) for _ in person.digests),
        file_digests=tuple(content for person in people for content in person.digests.values()),
        skipped=skipped,
        digest=digest.hexdigest(),
        format=crops,
        files=tuple(f"{person.source.name}/{name}" for person in people for name in person.digests),
    )


def _comma_separated(roots: Sequence[Path]) -> str:
    return ", ".join(map(str, roots)) or "no folder at all"
