"""`models/<id>/manifest.json`: what a model folder holds, where it comes from, and its files' digests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

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
    """The part every kind of model shares."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    license: str
    provenance: dict[str, str] = Field(description="Origin, training data, config, seed, commit: whatever explains it.")


class LandmarkAlignment(_Part):
    """Turned, scaled and shifted by five landmarks."""

    kind: Literal["landmarks"] = "landmarks"
    template: tuple[tuple[float, float], ...] = Field(
        min_length=5, max_length=5, description="Where the five landmarks lie in the crop, x and y in pixels."
    )


class BoxAlignment(_Part):
    """The detector's box, grown and resized."""

    kind: Literal["box"] = "box"
    margin: int = Field(
        ge=0, le=512, description="Pixels of the crop's side that lie beyond the box, both ends together."
    )


class EmbedderManifest(Manifest):
    kind: Literal["embedder"]
    file: ModelFile
    crop_size: int = Field(ge=16, le=1024, description="Side of the square uint8 RGB crop, in pixels.")
    alignment: LandmarkAlignment | BoxAlignment = Field(discriminator="kind", description="How a face is cut out.")
    dimension: int = Field(ge=2, le=4096)
    batch: Literal[1] | None = Field(default=None, description="Crops a run, where the graph takes no more.")

    @model_validator(mode="before")
    @classmethod
    def _with_a_bare_template(cls, values: Any) -> Any:
        """As manifests said it while there was no other alignment."""
        if isinstance(values, dict) and "template" in values and "alignment" not in values:
            values = dict(values)
            values["alignment"] = {"kind": "landmarks", "template": values.pop("template")}
        return values

    @model_validator(mode="after")
    def _a_crop_larger_than_its_margin(self) -> Self:
        if isinstance(self.alignment, BoxAlignment) and self.alignment.margin >= self.crop_size:
            raise ValueError(
                f"alignment.margin: want less than crop_size, {self.crop_size}, got {self.alignment.margin}"
            )
        return self


class DetectorManifest(Manifest):
    kind: Literal["mtcnn"]
    pnet: ModelFile
    rnet: ModelFile
    onet: ModelFile

    @property
    def digest(self) -> str:
        """One digest for the three networks."""
        return digest_of("".join(part.digest for part in (self.pnet, self.rnet, self.onet)).encode())


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_embedder(folder: Path) -> EmbedderManifest:
    return _read(folder, EmbedderManifest)


def read_detector(folder: Path) -> DetectorManifest:
    return _read(folder, DetectorManifest)


def read_checked(folder: Path, file: ModelFile) -> bytes:
    """The bytes of a model file; StartError where they are not those of the manifest."""
    path = folder / file.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StartError(f"cannot read the model file {path}: {error.strerror}") from error
    if (found := digest_of(data)) != file.digest:
        raise StartError(f"{path} is not the file of its manifest: want {file.digest}, got {found}")
    return data


def _read(folder: Path, kind: type[T]) -> T:
    path = folder / MANIFEST
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StartError(
            f"no model in {folder}: cannot read {path}: {error.strerror}; LIKENESS_MODELS_DIR says where the models are"
        ) from error
    except ValidationError as error:
        raise StartError(f"{path} is not a manifest of kind {kind.__name__}: {error}") from error
