"""The faces of a request: photos, or vectors of `embed` in their place."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

Photo: TypeAlias = "str | PathLike[str] | bytes | BinaryIO"
"""The path of an image file, its bytes, or a file that is open for reading bytes."""


@dataclass(frozen=True, slots=True)
class Vector:
    """The `embedding` of a face that `embed` gave, and the digest of the model that made it."""

    embedding: Sequence[float]
    model: str


FaceInput: TypeAlias = "Photo | Vector"


def content(photo: Photo) -> bytes:
    """Return the bytes of a photo. Raises OSError if its file cannot be read."""
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, str | PathLike):
        return Path(photo).read_bytes()
    return photo.read()


def json_of(faces: Sequence[tuple[str, FaceInput]]) -> dict[str, Any]:
    """
    Return the members of a JSON request for faces, each with its field: photos in base64, vectors under `embedding`.

    Raises ValueError unless the vectors are of one model, OSError if a photo cannot be read.
    """
    models = {face.model for _, face in faces if isinstance(face, Vector)}
    if len(models) != 1:
        raise ValueError(f"expected vectors of one model, got those of {sorted(models)}")
    members: dict[str, list[Any]] = {}
    for name, face in faces:
        if isinstance(face, Vector):
            members.setdefault(name.replace("image", "embedding"), []).append(list(face.embedding))
        else:
            members.setdefault(name, []).append(b64encode(content(face)).decode())
    if len(members.get("embedding", ())) > 1:
        members["embeddings"] = [members.pop("embedding")]
    single = {name: values[0] if len(values) == 1 else values for name, values in members.items()}
    return {**single, "model": models.pop()}
