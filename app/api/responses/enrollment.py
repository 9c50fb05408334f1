"""The answers about enrolled faces."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.api.responses.faces import FaceOrVectorOut, Judged


class EnrolledFace(FaceOrVectorOut):
    face_id: str
    subject_id: str
    enrolled_at: str


class NewFace(EnrolledFace, Judged):
    index: int = Field(description="Index of the image in the request, from 0.")
    faces_found: int


class RejectedImage(BaseModel):
    index: int
    problem: dict[str, Any]  # a Problem without the members that do not apply


class DuplicateOut(BaseModel):
    """Another subject that has an enrolled face like a new one."""

    index: int = Field(description="Index of the image in the request, from 0.")
    subject_id: str
    distance: float = Field(description="Rounded, as all distances to enrolled faces are.")


class Enrollment(BaseModel):
    enrolled: list[NewFace]
    rejected: list[RejectedImage]
    duplicates: list[DuplicateOut] = Field(
        description="Other subjects that the new faces match at the default threshold of /identify."
    )


class EnrolledFaces(BaseModel):
    faces: list[EnrolledFace]
