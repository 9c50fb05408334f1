"""`python -m training pack`: people from any source into tar shards that WebDataset's readers understand too."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.data.packed_files import ImageFile
from training.data.sources import PersonFiles, UnusableData, list_people

SHARD = "shard-{:06d}.tar"


def write_shards(roots: Sequence[Path], output: Path, *, shard_bytes: int = 1 << 28) -> list[Path]:
    """
    Write shards of about `shard_bytes`, and return them; images are stored as they are, not encoded again.

    Raises UnusableData where `output` holds shards already, or two roots have a person of one name.
    """
    if list(output.glob("*.tar")):
        raise UnusableData(f"{output}: expected a folder without shards")
    people = [person for root in roots for person in list_people(root)]
    names = [_folder(person) for person in people]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise UnusableData(f"expected every person in one root, got {min(doubled)} in two")
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for number, samples in enumerate(_parts(people, shard_bytes)):
        written.append(output / SHARD.format(number))
        _write(written[-1], samples)
    return written


Sample = tuple[str, str, str, bytes]
"""The key, the person, the name of the file and its content."""


def _parts(people: Sequence[PersonFiles], shard_bytes: int) -> Iterator[list[Sample]]:
    part: list[Sample] = []
    size = 0
    for number, (person, name, image) in enumerate(_images(people)):
        data = image.read_bytes()
        if part and size + len(data) > shard_bytes:
            yield part
            part, size = [], 0
        part.append((f"{number:09d}", person, name, data))
        size += len(data)
    if part:
        yield part


def _images(people: Sequence[PersonFiles]) -> Iterator[tuple[str, str, ImageFile]]:
    for person in people:
        for name, image in person.files.items():
            yield _folder(person), name, image


def _folder(person: PersonFiles) -> str:
    """Return the person's name without that of the root."""
    return person.name.partition("/")[2]


def _write(path: Path, samples: Sequence[Sample]) -> None:
    """Write the shard atomically, with nothing in it that depends on the time or the user."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, person, name, data in samples:
            _add(tar, f"{key}{Path(name).suffix.lower()}", data)
            _add(tar, f"{key}.json", json.dumps({"person": person, "name": name}).encode())
    partial.replace(path)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
