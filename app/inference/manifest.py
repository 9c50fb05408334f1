"""`models/<id>/manifest.json`: the contents of a model folder, their origin, and the digests of the files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain.errors import StartError

T = TypeVar("T", bound="Manifest")
MANIFEST = "manifest.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(_Part):
    path: str = Field(pattern=r"^[A-Za-z0-9._-]+$", description="A file beside the manifest.")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class Manifest(_Part):
    """The fields that all kinds of models share."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    license: str
    provenance: dict[str, str] = Field(description="Origin, training data, configuration, seed, commit.")


class LandmarkAlignment(_Part):
    """Rotates, scales and shifts a face so that its five landmarks meet a template."""

    kind: Literal["landmarks"] = "landmarks"
    template: tuple[tuple[float, float], ...] = Field(
        min_length=5, max_length=5, description="Where the five landmarks lie in the crop, x and y in pixels."
    )


class BoxAlignment(_Part):
    """Enlarges the detector's box by a margin and resizes it."""

    kind: Literal["box"] = "box"
    margin: int = Field(
        ge=0, le=512, description="Pixels of the crop's side that lie outside the box, both ends together."
    )


class EmbedderManifest(Manifest):
    kind: Literal["embedder"]
    file: ModelFile
    crop_size: int = Field(ge=16, le=1024, description="Side of the square uint8 RGB crop, in pixels.")
    alignment: LandmarkAlignment | BoxAlignment = Field(discriminator="kind", description="How a face is cut out.")
    dimension: int = Field(ge=2, le=4096)
    batch: Literal[1] | None = Field(default=None, description="1 if the graph accepts only one crop per run.")
    threshold_offset: ModelFile | None = Field(
        default=None, description="A small graph from unit vectors (N, dimension) to their threshold offsets (N,)."
    )

    @property
    def offset_digest(self) -> str | None:
        """The digest of the threshold offsets; None if the model has none."""
        return self.threshold_offset.digest if self.threshold_offset else None

    @model_validator(mode="after")
    def _check_margin(self) -> Self:
        if isinstance(self.alignment, BoxAlignment) and self.alignment.margin >= self.crop_size:
            raise ValueError(
                f"alignment.margin: expected less than crop_size ({self.crop_size}), got {self.alignment.margin}"
            )
        return self


class DetectorManifest(Manifest):
    kind: Literal["mtcnn"]
    pnet: ModelFile
    rnet: ModelFile
    onet: ModelFile

    @property
    def digest(self) -> str:
        """One digest for all three networks."""
        return digest_of("".join(part.digest for part in (self.pnet, self.rnet, self.onet)).encode())


class LivenessManifest(Manifest):
    kind: Literal["liveness"]
    file: ModelFile
    crop_size: int = Field(ge=16, le=1024, description="Side of the square uint8 RGB crops, in pixels.")
    scales: tuple[float, ...] = Field(
        min_length=1, description="The side of each crop, in sides of the face's box: a face has one of each scale."
    )


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def kind_of(folder: Path) -> str | None:
    """Return the kind that a manifest names; None if it cannot be read."""
    try:
        return str(json.loads((folder / MANIFEST).read_bytes())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_embedder(folder: Path) -> EmbedderManifest:
    return _read(folder, EmbedderManifest)


def read_detector(folder: Path) -> DetectorManifest:
    return _read(folder, DetectorManifest)


def read_liveness(folder: Path) -> LivenessManifest:
    return _read(folder, LivenessManifest)


def read_checked(folder: Path, file: ModelFile) -> bytes:
    """Return the bytes of a model file. Raises StartError if they do not have the digest of the manifest."""
    path = folder / file.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StartError(f"cannot read the model file {path}: {error.strerror}") from error
    if (found := digest_of(data)) != file.digest:
        raise StartError(f"{path} differs from its manifest: expected {file.digest}, got {found}")
    return data


def _read(folder: Path, kind: type[T]) -> T:
    path = folder / MANIFEST
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StartError(
            f"no model in {folder}: cannot read {path}: {error.strerror}; `likeness models list` tells which models "
            "are there, and LIKENESS_MODELS_DIR names another directory"
        ) from error
    except ValidationError as error:
        raise StartError(f"{path} is not a manifest of kind {kind.__name__}: {error}") from error
