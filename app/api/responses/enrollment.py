"""The answers about enrolled faces."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.api.responses.faces import FaceOrVectorOut


class EnrolledFace(FaceOrVectorOut):
    face_id: str
    subject_id: str
    enrolled_at: str


class NewFace(EnrolledFace):
    index: int = Field(description="Index of the image in the request, from 0.")
    faces_found: int


class RejectedImage(BaseModel):
    index: int
    problem: dict[str, Any]  # a Problem without the members that do not apply


class Enrollment(BaseModel):
    enrolled: list[NewFace]
    rejected: list[RejectedImage]


class EnrolledFaces(BaseModel):
    faces: list[EnrolledFace]
