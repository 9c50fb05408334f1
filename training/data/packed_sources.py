"""
People in packed files: tar shards as WebDataset's, and insightface's train.rec with its train.idx.

Only positions are read here; each image is read when a batch needs it, so that samplers may draw anybody. WebDataset's
own loader reads shards from end to end, which a batch of P people x K faces cannot use.
"""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from training.data.packed_files import ImageFile, Record, TarMember, TornRecord
from training.data.suffixes import SUFFIXES
from training.errors import TrainingError

LABELS = (".json", ".cls", ".txt")
"""The kinds of files beside an image that may name its person."""


class UnusablePack(TrainingError):
    """A packed file cannot be read, or does not say who is on its images."""


People = dict[str, dict[str, ImageFile]]


def people_in_shards(shards: list[Path]) -> People:
    """
    Return the images of each person by name, both in order.

    The person is `person` of KEY.json, the text of KEY.cls or KEY.txt, or else the folder of the member. Raises
    UnusablePack.
    """
    people: People = defaultdict(dict)
    for shard in shards:
        for key, image, label in _samples(shard):
            person, name = _named(shard, key, image, label)
            people[person][name] = image[1]
    return {person: dict(sorted(people[person].items())) for person in sorted(people)}


def people_in_record_file(path: Path) -> People:
    """
    Return the images of a .rec file by the number of the person, in order.

    The first record of insightface's files says where its images end. Raises UnusablePack.
    """
    offsets = _offsets(path.with_suffix(".idx"))
    people: People = defaultdict(dict)
    try:
        end = _end_of_images(path, offsets)
        for key in sorted(key for key in offsets if 0 < key < end):
            record = Record(path, offsets[key])
            people[f"{round(record.labels()[0]):07d}"][f"{key}.jpg"] = record
    except OSError as error:
        raise UnusablePack(f"{path} cannot be read: {error}") from error
    return dict(sorted(people.items()))


def _samples(shard: Path) -> Iterator[tuple[str, tuple[str, ImageFile], tuple[str, bytes] | None]]:
    """Yield the key, the image with its suffix, and the label with its suffix, of each sample of a shard."""
    images: dict[str, tuple[str, ImageFile]] = {}
    labels: dict[str, tuple[str, bytes]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                path = PurePosixPath(member.name)
                stem, _, rest = path.name.partition(".")
                key, suffix = str(path.with_name(stem)), f".{rest.lower()}"
                if suffix in SUFFIXES:
                    images[key] = suffix, TarMember(shard, member.offset_data, member.size)
                elif suffix in LABELS and (file := tar.extractfile(member)):
                    labels[key] = suffix, file.read()
    except (OSError, tarfile.TarError) as error:
        raise UnusablePack(f"{shard} is not an uncompressed tar file: {error}") from error
    for key, image in images.items():
        yield key, image, labels.get(key)


def _named(shard: Path, key: str, image: tuple[str, ImageFile], label: tuple[str, bytes] | None) -> tuple[str, str]:
    """Return the person and the name of an image."""
    name = f"{key}{image[0]}"
    if label is None:
        if len(PurePosixPath(key).parts) < 2:
            raise UnusablePack(f"{shard}: expected {key}.json, .cls or .txt with the person, or a folder, got neither")
        return PurePosixPath(key).parts[0], str(PurePosixPath(name).relative_to(PurePosixPath(key).parts[0]))
    suffix, text = label
    try:
        if suffix == ".json":
            values = json.loads(text)
            return str(values["person"]), str(values.get("name", name))
        return text.decode().strip(), name
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusablePack(f"{shard}: expected the person in {key}{suffix}: {error!r}") from error


def _offsets(path: Path) -> dict[int, int]:
    """Return the positions of the records by their keys."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return {int(key): int(offset) for key, offset in (line.split("\t") for line in lines)}
    except (OSError, ValueError) as error:
        raise UnusablePack(f"{path}: expected lines of a key and an offset, beside the .rec file: {error}") from error


def _end_of_images(path: Path, offsets: dict[int, int]) -> int:
    """Return the key behind the last image: record 0 has no image, and two labels of which it is the first."""
    if 0 not in offsets:
        return max(offsets, default=0) + 1
    labels = Record(path, offsets[0]).labels()
    if len(labels) != 2:
        raise TornRecord(f"expected two labels in record 0, as in insightface's files, got {len(labels)}")
    return int(labels[0])
