"""The answers about galleries and their subjects."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.api.responses.identification import SearchedGallery
from app.gallery.records import CropStatus, GalleryInfo, SubjectInfo


class GalleryOut(SearchedGallery):
    model: str | None = Field(
        description="Digest of the embedder that the gallery belongs to; null until a face is enrolled."
    )
    created_at: str

    @classmethod
    def of(cls, gallery: GalleryInfo) -> GalleryOut:
        counts = SearchedGallery.of(gallery).model_dump()
        return cls(**counts, model=gallery.model, created_at=gallery.created_at)


class ReEmbeddingOut(BaseModel):
    """A re-embedding that has begun, or was interrupted."""

    model: str = Field(description="Digest of the embedder whose vectors the faces get.")
    done: int = Field(description="Faces that have a vector of it.")
    started_at: str


class GalleryDetail(GalleryOut):
    keeps_crops: bool = Field(description="Whether the service keeps the crops of faces that are enrolled from now on.")
    crops: int = Field(description="Faces with a kept crop, from which another model can compute its vectors.")
    re_embedding: ReEmbeddingOut | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Present while `likeness gallery re-embed` gives the gallery another model.",
    )

    @classmethod
    def with_crops(cls, gallery: GalleryInfo, crops: CropStatus, *, keeps_crops: bool) -> GalleryDetail:
        begun = crops.re_embedding
        return cls(
            **GalleryOut.of(gallery).model_dump(),
            keeps_crops=keeps_crops,
            crops=crops.faces,
            re_embedding=ReEmbeddingOut(model=begun.model, done=begun.done, started_at=begun.started_at)
            if begun
            else None,
        )


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
