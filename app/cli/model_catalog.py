"""The models that `likeness models pull` knows: model_catalog.json, which may also be another file of that form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

CATALOG = Path(__file__).with_name("model_catalog.json")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnnxNetwork(_Part):
    """A file in ONNX that takes aligned crops as (x - mean) / std; BGR if `bgr`."""

    kind: Literal["onnx"]
    size: int = Field(ge=16, le=1024, description="Side of the crop, in pixels.")
    mean: float
    std: float = Field(gt=0)
    bgr: bool

    @property
    def packages(self) -> Mapping[str, str]:
        """The packages that wrapping needs, and the extra that installs each."""
        return {"onnx": "models"}


class FaceNetNetwork(_Part):
    """A file of weights for facenet-pytorch's Inception-ResNet-v1."""

    kind: Literal["facenet"]
    pretrained: Literal["vggface2", "casia-webface"]

    @property
    def packages(self) -> Mapping[str, str]:
        return {"torch": "training", "onnx": "training"}


class KnownModel(_Part):
    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    summary: str
    url: str = Field(pattern=r"^https?://")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int | None = Field(gt=0, description="Size of the file, where it is known.")
    license: str
    license_url: str
    network: Annotated[OnnxNetwork | FaceNetNetwork, Field(discriminator="kind")]

    @property
    def file(self) -> str:
        return PurePosixPath(httpx.URL(self.url).path).name

    def address(self, mirror: str | None) -> str:
        """Return where to fetch the file; `mirror` stands in place of the site, with the same path below it."""
        return f"{mirror.rstrip('/')}{httpx.URL(self.url).path}" if mirror else self.url


class _Catalog(_Part):
    models: tuple[KnownModel, ...]


def known_models() -> dict[str, KnownModel]:
    return {model.name: model for model in _Catalog.model_validate_json(CATALOG.read_bytes()).models}
