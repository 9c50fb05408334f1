"""The answers to detection and embedding."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.api.responses.faces import Answer, FaceOut

THRESHOLD_OFFSET: Any = Field(
    description="What the face takes off the threshold of each of its pairs: two faces match when their distance is "
    "at most `base` less both offsets. 0 if the model has no offsets, or if another model made the vector."
)


class ImageSize(BaseModel):
    width: int
    height: int


class DetectedFace(FaceOut):
    crop: str | None = Field(
        None, description="With `crops`: the face upright and aligned, as the embedder sees it; a JPEG in base64."
    )


class _Detection(BaseModel):
    faces: list[DetectedFace]
    faces_found: int
    image: ImageSize = Field(description="Size of the upright image, in pixels.")


class Detection(Answer, _Detection): ...


class EmbeddedFace(FaceOut):
    embedding: list[float]
    threshold_offset: float = THRESHOLD_OFFSET


class EmbedResult(BaseModel):
    faces: list[EmbeddedFace]
    faces_found: int
    error: dict[str, Any] | None  # a Problem without the members that do not apply


class _Embeddings(BaseModel):
    results: list[EmbedResult]


class Embeddings(Answer, _Embeddings): ...
