"""The answer to clustering."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.api.responses.enrollment import RejectedImage
from app.api.responses.faces import Answer
from app.api.responses.verification import ThresholdOut


class _Clustering(BaseModel):
    groups: list[list[int]] = Field(
        description="The indexes of the photos of each person, from 0; the largest group first."
    )
    rejected: list[RejectedImage]
    threshold: ThresholdOut = Field(description="The threshold for the mean distance in a group of average faces.")


class Clustering(Answer, _Clustering): ...
