"""The answers about the loaded models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class LoadedModel(BaseModel):
    id: str
    kind: Literal["embedder", "mtcnn", "liveness"]
    digest: str
    license: str
    provider: str = Field(description="The execution provider that runs the network.")
    dimension: int | None = Field(None, description="Numbers in an embedding.")
    crop_size: int | None = Field(None, description="Side of the aligned crop, in pixels.")
    threshold_offset: str | None = Field(
        None, description="Digest of the model's threshold offsets; null if it has none."
    )
    calibrated: bool = Field(default=False, description="Whether `/models/{id}/calibration` has error rates.")
    liveness_threshold: float | None = Field(
        None, description="Smallest score of a live face; null for other kinds of models."
    )


class LoadedModels(BaseModel):
    models: list[LoadedModel]
    distance_step: float = Field(description="The step to which distances to enrolled faces are rounded.")
    max_threshold: float = Field(
        description="Largest threshold against enrolled faces for keys without the scope admin, unless the default is "
        "larger. Distances beyond it are given as the next step above it."
    )
