"""Settings of the networks: which ones, and how they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from app.inference.session import Provider
from app.settings.value_types import AnyCase, check_site

BUNDLED_MODELS = Path(__file__).parent.with_name("bundled_models")
"""In the repository a link to `models/`; in the wheel a folder with the same files."""


def _models_dir() -> Path:
    here = Path("models")
    return here if (here / "mtcnn").is_dir() else BUNDLED_MODELS


class ModelSettings(BaseModel):
    models_dir: Path = Field(
        default_factory=_models_dir,
        description="Directory with one folder per model. By default `models` in the current directory if it holds the "
        "detector `mtcnn`, else the models that were installed with Likeness.",
    )
    model: str = Field(
        "mobilefacenet-128", pattern=r"^[A-Za-z0-9._-]+$", description="Name of the embedder's model folder."
    )
    models_mirror: Annotated[str | None, AfterValidator(check_site)] = Field(
        None,
        description="Site with the files of `likeness models pull` at the same paths as their own sites: "
        "`https://mirror.example/models`.",
    )
    provider: Annotated[Provider, AnyCase] = Field(
        "auto",
        description="Execution provider: `auto`, `cpu`, `cuda`, `tensorrt` or `openvino` (for the embedder alone). If "
        "it cannot be used, the start fails. `auto` takes CUDA where there is a GPU, or else OpenVINO if it is "
        "installed and faster.",
    )
    threads: int = Field(1, ge=1, le=64, description="Threads of one inference.")
    max_batch: int = Field(8, ge=1, le=256, description="Faces embedded in one inference.")
    min_face: float | None = Field(
        None,
        ge=12,
        le=2000,
        description="Side in pixels of the smallest face to detect. A value selects facenet-pytorch's cascade, with "
        "identical boxes: 20 finds more of a distant crowd, takes three times as long and gives more false "
        "detections. Without it, a faster cascade finds faces from 40 px on.",
    )
    liveness: Annotated[Literal["off", "on"], AnyCase] = Field(
        "off",
        description="`on` loads the model `pad`, so that requests may ask whether a face is live or a picture of one. "
        "The answer is advisory: see liveness.md.",
    )
    liveness_threshold: float = Field(
        0.5, ge=0, le=1, description="Smallest `liveness.score` of a face that counts as live."
    )
