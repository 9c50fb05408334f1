"""The answers about galleries and their subjects."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.api.responses.identification import SearchedGallery
from app.gallery.records import GalleryInfo, SubjectInfo


class GalleryOut(SearchedGallery):
    model: str | None = Field(
        description="Digest of the embedder that the gallery belongs to; null until a face is enrolled."
    )
    created_at: str

    @classmethod
    def of(cls, gallery: GalleryInfo) -> GalleryOut:
        counts = SearchedGallery.of(gallery).model_dump()
        return cls(**counts, model=gallery.model, created_at=gallery.created_at)


class GalleryList(BaseModel):
    galleries: list[GalleryOut]


class SubjectOut(BaseModel):
    subject_id: str
    metadata: dict[str, Any]
    faces: int
    created_at: str
    consent: str | None = Field(description="The caller's reference of the person's consent.")
    expires_at: str | None = Field(description="When the subject is erased; null for never.")

    @classmethod
    def of(cls, subject: SubjectInfo) -> SubjectOut:
        return cls(
            subject_id=subject.subject_id,
            metadata=dict(subject.metadata),
            faces=subject.faces,
            created_at=subject.created_at,
            consent=subject.consent,
            expires_at=subject.expires_at,
        )


class SubjectPage(BaseModel):
    subjects: list[SubjectOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last page.")
