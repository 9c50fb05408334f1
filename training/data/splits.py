"""The split into people to train on and people to evaluate on, never by image."""

import hashlib

from training.config.evaluation import EvaluationConfig
from training.config.schema import TrainConfig
from training.data.dataset import FORMAT_112, CropFormat, FaceSet, read_faces
from training.data.exclusions import Exclusions
from training.data.file_index import FileIndex
from training.data.sources import UnusableData


class SharedPeople(UnusableData):
    """Someone is in training and in evaluation, so that the evaluation would measure memory."""


def split(
    config: TrainConfig, index: FileIndex | None = None, crops: CropFormat = FORMAT_112
) -> tuple[FaceSet, FaceSet | None]:
    """Return the faces to train on, and those to evaluate on if the config evaluates. Raises SharedPeople."""
    settings, threads = config.evaluation, config.run.threads
    minimum, excluded = config.data.minimum_faces, Exclusions.read(config.data.exclude)
    everyone = read_faces(
        config.data.roots, minimum=minimum, threads=threads, index=index, crops=crops, excluded=excluded
    )
    if not settings.roots:
        return hold_out(everyone, settings.held_out, settings.seed)
    others = read_faces(settings.roots, minimum=2, threads=threads, index=index, crops=crops)
    check_disjoint(everyone, others, settings)
    return everyone, others


def hold_out(faces: FaceSet, share: float, seed: int) -> tuple[FaceSet, FaceSet | None]:
    """
    Hold out `share` of the people, chosen by a hash of seed and name, so that adding people hardly changes the choice.

    Raises UnusableData if fewer than two are left on a side.
    """
    if not share:
        return faces, None
    order = sorted(range(len(faces.names)), key=lambda person: _hash(faces.names[person], seed))
    count = round(share * len(order))
    if min(count, len(order) - count) < 2:
        raise UnusableData(
            f"evaluation.held_out: expected two people or more on both sides, got {count} of {len(order)}"
        )
    return faces.subset(sorted(order[count:])), faces.subset(sorted(order[:count]))


def check_disjoint(trained: FaceSet, others: FaceSet, settings: EvaluationConfig) -> None:
    """Raise SharedPeople if a file is in both, or a name, unless the config accepts equal names as two people."""
    files = set(trained.file_digests) & set(others.file_digests)
    if files:
        path = next(path for path, content in zip(others.paths, others.file_digests, strict=True) if content in files)
        raise SharedPeople(f"{len(files)} images are in training and evaluation, such as {path}: remove them from one")
    names = {_folder_name(name) for name in trained.names} & {_folder_name(name) for name in others.names}
    if names and settings.shared_names == "refuse":
        raise SharedPeople(
            f"{len(names)} people are in training and evaluation, such as {min(names)}: remove them from one, or set "
            "evaluation.shared_names to 'accept' if equal names are different people"
        )


def _folder_name(name: str) -> str:
    """Return a person's name without that of the root."""
    return name.partition("/")[2]


def _hash(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
