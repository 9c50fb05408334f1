"""A problem document."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.api.problems import MAX_ERRORS, PROBLEM_TYPES
from app.api.responses.enrollment import DuplicateOut, RejectedImage
from app.api.responses.faces import Sides


class FieldError(BaseModel):
    field: str
    detail: str


class Problem(BaseModel):
    """A problem document (RFC 9457). Optional members are left out where they do not apply."""

    type: str = Field(description="A relative reference made of the code, such as `/problems/face_not_found`.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path of the request.")
    code: str = Field(json_schema_extra={"enum": list(PROBLEM_TYPES)})
    request_id: str
    image: str | None = Field(None, description="The field of the image that caused the problem.")
    errors: list[FieldError] | None = Field(
        None, max_length=MAX_ERRORS, description="The invalid fields, with `invalid_request`."
    )
    reasons: list[str] | None = Field(None, description="Why a face cannot be enrolled, with `low_quality`.")
    boxes: list[Sides] | None = Field(None, description="The faces that were found, with `multiple_faces`.")
    faces_found: int | None = Field(None, description="The number of faces that were found, with `multiple_faces`.")
    duplicates: list[DuplicateOut] | None = Field(None, description="The other subjects, with `duplicate_face`.")
    rejected: list[RejectedImage] | None = Field(
        None, description="The problem of each image, where no image could be enrolled."
    )
