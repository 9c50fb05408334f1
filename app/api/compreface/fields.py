"""The parameters of CompreFace's requests. What it does not know is ignored, as there."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.image_fields import ImageField
from app.api.requests import MAX_TOP_K
from app.faces.selection import ConfidentFaces
from app.gallery.limits import ID_PATTERN

PREFIX = "/api/v1"
FILE = ImageField("file")
SOURCE, TARGET = ImageField("source_image"), ImageField("target_image")
LANDMARKS, CALCULATOR = "landmarks", "calculator"
MAX_PAGE_SIZE = 1000


def _not_blank(subject: str) -> str:
    if not subject.strip():
        raise ValueError("expected the name of a subject, got none")
    return subject


SubjectName = Annotated[str, Field(pattern=ID_PATTERN), AfterValidator(_not_blank)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class SubjectFields(_Parameters):
    subject: SubjectName


class ExampleFields(SubjectFields):
    det_prob_threshold: float = Field(0.0, ge=0, le=1)

    @property
    def only_face(self) -> ConfidentFaces:
        return ConfidentFaces(self.det_prob_threshold, only=True)


class PhotoFields(_Parameters):
    """`limit` is the number of faces, 0 for all. Of `face_plugins` only LANDMARKS and CALCULATOR exist here."""

    limit: int = Field(0, ge=0)
    det_prob_threshold: float = Field(0.0, ge=0, le=1)
    prediction_count: int = Field(1, ge=1)
    face_plugins: str = ""
    status: bool = False

    @property
    def selection(self) -> ConfidentFaces:
        return ConfidentFaces(self.det_prob_threshold, self.limit)

    @property
    def only_face(self) -> ConfidentFaces:
        return ConfidentFaces(self.det_prob_threshold, only=True)

    @property
    def top_k(self) -> int:
        return min(self.prediction_count, MAX_TOP_K)

    def asks_for(self, plugin: str) -> bool:
        return plugin in {each.strip() for each in self.face_plugins.split(",")}
