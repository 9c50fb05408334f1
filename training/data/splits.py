"""Who is trained on and who is only measured: by person, never by image."""

import hashlib

from training.config.schema import EvaluationConfig, TrainConfig
from training.data.dataset import FaceSet, read_faces
from training.data.sources import UnusableData


class SharedPeople(UnusableData):
    """Someone is in training and in evaluation: what is measured would be memory."""


def split(config: TrainConfig) -> tuple[FaceSet, FaceSet | None]:
    """The faces to train on, and those to evaluate on if the config wants an evaluation; SharedPeople."""
    settings = config.evaluation
    everyone = read_faces(config.data.roots, minimum=config.data.minimum_faces, threads=config.run.threads)
    if not settings.roots:
        return hold_out(everyone, settings.held_out, settings.seed)
    others = read_faces(settings.roots, minimum=2, threads=config.run.threads)
    refuse_shared(everyone, others, settings)
    return everyone, others


def hold_out(faces: FaceSet, share: float, seed: int) -> tuple[FaceSet, FaceSet | None]:
    """
    `share` of the people, chosen by a hash of seed and name: who is held out hardly changes as people are added.

    UnusableData where fewer than two are left on a side.
    """
    if not share:
        return faces, None
    order = sorted(range(len(faces.names)), key=lambda person: _lot(faces.names[person], seed))
    count = round(share * len(order))
    if min(count, len(order) - count) < 2:
        raise UnusableData(f"evaluation.held_out: want two people or more on both sides, got {count} of {len(order)}")
    return faces.only(sorted(order[count:])), faces.only(sorted(order[:count]))


def refuse_shared(trained: FaceSet, others: FaceSet, settings: EvaluationConfig) -> None:
    """SharedPeople where a file is in both, or a name, unless the config says that equal names are two people."""
    files = set(trained.contents) & set(others.contents)
    if files:
        path = next(path for path, content in zip(others.paths, others.contents, strict=True) if content in files)
        raise SharedPeople(f"{len(files)} images are in training and evaluation, such as {path}: remove them from one")
    names = {_own(name) for name in trained.names} & {_own(name) for name in others.names}
    if names and settings.shared_names == "refuse":
        raise SharedPeople(
            f"{len(names)} people are in training and evaluation, such as {min(names)}: remove them from one, or set "
            "evaluation.shared_names to 'accept' if one name is two people"
        )


def _own(name: str) -> str:
    """A person's name without that of the root."""
    return name.partition("/")[2]


def _lot(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
