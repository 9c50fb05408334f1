"""The answer to a search."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from app.api.responses.faces import Answer, FaceOrVectorOut, Judged
from app.api.responses.verification import PairThreshold, ThresholdOut
from app.domain.comparisons import Candidate
from app.gallery.records import GalleryInfo
from app.matching.threshold_policy import Decision


class SearchThreshold(ThresholdOut):
    """
    The threshold of a search, for a pair of average faces; each candidate has its own.

    `fmr` is the rate of one comparison, `fpir` the rate of the whole search.
    """

    fpir: float | None


class CandidateOut(BaseModel):
    subject_id: str
    face_id: str
    distance: float
    similarity: float
    probability: float | None
    threshold: PairThreshold
    rank: int
    metadata: dict[str, Any]

    @classmethod
    def of(cls, candidate: Candidate, decision: Decision) -> CandidateOut:
        comparison = candidate.comparison
        return cls(
            subject_id=candidate.subject_id,
            face_id=candidate.face_id,
            distance=comparison.distance.squared_l2,
            similarity=comparison.distance.similarity,
            probability=comparison.probability,
            threshold=PairThreshold.of(comparison, decision),
            rank=candidate.rank,
            metadata=dict(candidate.metadata),
        )


class IdentifiedFace(FaceOrVectorOut, Judged):
    identified: bool
    candidates: list[CandidateOut]


class SearchedGallery(BaseModel):
    id: str
    subjects: int
    faces: int
    revision: int

    @classmethod
    def of(cls, gallery: GalleryInfo) -> SearchedGallery:
        return cls(id=gallery.id, subjects=gallery.subjects, faces=gallery.faces, revision=gallery.revision)


class _Identification(BaseModel):
    faces: list[IdentifiedFace]
    faces_found: int
    gallery: SearchedGallery
    threshold: SearchThreshold


class Identification(Answer, _Identification): ...
