"""The answer with all data of a subject."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.api.responses.enrollment import EnrolledFace
from app.api.responses.photos import THRESHOLD_OFFSET


class ExportedFace(EnrolledFace):
    embedding: list[float]
    threshold_offset: float = THRESHOLD_OFFSET
    crop: str | None = Field(
        None, exclude_if=lambda value: value is None, description="The kept crop, if there is one: a JPEG in base64."
    )


class SavedResponse(BaseModel):
    idempotency_key: str
    request_digest: str = Field(description="SHA-256 of the request: the rule for faces and the digests of its photos.")
    response: dict[str, Any] = Field(description="The answer that a repeated request would get.")


class SubjectExport(BaseModel):
    """All stored data of a subject."""

    gallery: str
    subject_id: str
    metadata: dict[str, Any]
    consent: str | None
    expires_at: str | None
    created_at: str
    model: str | None = Field(description="Digest of the embedder that made the vectors.")
    faces: list[ExportedFace]
    events: list[dict[str, Any]] = Field(description="The entries of the audit log about the subject.")
    saved_responses: list[SavedResponse] = Field(description="What is kept for requests with an Idempotency-Key.")
