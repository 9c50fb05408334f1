"""The bodies of responses in the HTTP contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from app.api.problems import MAX_ERRORS, PROBLEM_TYPES
from app.domain.models import Candidate, Comparison, Face, Landmarks, OperatingPoint, Quality, rounded_rate
from app.gallery.codec import GalleryInfo, SubjectInfo
from app.matching.threshold_policy import Decision, Source

_OFFSET: Any = Field(
    description="What the face takes off the threshold of each of its pairs: two faces match when their distance is "
    "at most `base` less both offsets. 0 if the model has no offsets, or if another model made the vector."
)


def _numbers(count: int) -> WithJsonSchema:
    """Return the schema of a tuple without `prefixItems`, which generators of clients read differently."""
    return WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": count, "maxItems": count})


Sides = Annotated[tuple[float, float, float, float], _numbers(4)]
Point = Annotated[tuple[float, float], _numbers(2)]


class QualityOut(BaseModel):
    """Each part in [0, 1]; `inside` is the share of the aligned crop that is in the photo, `overall` the worst part."""

    size: float
    sharpness: float
    frontality: float
    inside: float
    overall: float

    @classmethod
    def of(cls, quality: Quality) -> QualityOut:
        parts = (quality.size, quality.sharpness, quality.frontality, quality.inside, quality.overall)
        return cls(**dict(zip(cls.model_fields, (round(part, 4) for part in parts), strict=True)))


class FaceOut(BaseModel):
    """`box` is left, top, right, bottom and `landmarks` five x, y, in pixels of the image as its EXIF turns it."""

    box: Sides
    landmarks: list[Point]
    confidence: float
    quality: QualityOut
    rotated: int = Field(0, description="Degrees clockwise by which the photo was turned to find the face.")

    @staticmethod
    def members(face: Face, quality: Quality) -> dict[str, Any]:
        """Return the arguments that this class and those derived from it share."""
        box = face.box
        return {
            "box": tuple(round(side, 3) for side in (box.left, box.top, box.right, box.bottom)),
            "landmarks": _points(face.landmarks),
            "confidence": round(face.confidence, 6),
            "quality": QualityOut.of(quality),
            "rotated": face.rotated,
        }


class LivenessOut(BaseModel):
    """Advisory: how live the face looks, and whether that reaches the service's threshold."""

    score: float = Field(ge=0, le=1)
    live: bool


class JudgedFace(FaceOut):
    """A face that has a `liveness` if the request asked for it."""

    liveness: LivenessOut | None = Field(None, exclude_if=lambda value: value is None)


class ModelOut(BaseModel):
    id: str
    digest: str


class LoadedModel(BaseModel):
    id: str
    kind: Literal["embedder", "mtcnn", "liveness"]
    digest: str
    license: str
    provider: str = Field(description="The execution provider that runs the network.")
    dimension: int | None = Field(None, description="Numbers in an embedding.")
    crop_size: int | None = Field(None, description="Side of the aligned crop, in pixels.")
    threshold_offset: str | None = Field(
        None, description="Digest of the model's threshold offsets; null if it has none."
    )
    calibrated: bool = Field(default=False, description="Whether `/models/{id}/calibration` has error rates.")
    liveness_threshold: float | None = Field(
        None, description="Smallest score of a live face; null for other kinds of models."
    )


class LoadedModels(BaseModel):
    models: list[LoadedModel]
    distance_step: float = Field(description="The step to which distances to enrolled faces are rounded.")
    max_threshold: float = Field(
        description="Largest threshold against enrolled faces for keys without the scope admin, unless the default is "
        "larger. Distances beyond it are given as the next step above it."
    )


class Answer(BaseModel):
    """The last members of every response about a photo (pydantic puts the fields of the last base class first)."""

    model: ModelOut
    timings_ms: dict[str, float]
    request_id: str


class VerifiedFace(JudgedFace):
    image: str
    faces_found: int


class PairThreshold(BaseModel):
    """The threshold for a pair of faces and its error rates; a rate is null if the calibration does not give it."""

    distance: float = Field(description="Largest distance of a match: `base` less the threshold offsets of both faces.")
    base: float = Field(
        description="The threshold for a pair of average faces. A threshold of the request is for all pairs the same."
    )
    fmr: float | None
    fnmr: float | None

    @classmethod
    def of(cls, comparison: Comparison, decision: Decision) -> PairThreshold:
        point = comparison.point
        return cls(
            distance=point.threshold,
            base=decision.point.threshold,
            fmr=_rounded(point.fmr),
            fnmr=_rounded(point.fnmr),
        )


class ThresholdOut(PairThreshold):
    source: Source
    calibrated_on: str | None = Field(description="The data set on which the rates were measured.")


class _Verification(BaseModel):
    match: bool
    distance: float
    metric: Literal["squared_l2"] = "squared_l2"
    similarity: float
    probability: float | None
    threshold: ThresholdOut
    faces: list[VerifiedFace]


class Verification(Answer, _Verification): ...


class SubjectVerification(Verification):
    subject_id: str
    face_id: str | None = Field(description="The nearest enrolled face; null beyond the bound.")


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


class IdentifiedFace(JudgedFace):
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


class ImageSize(BaseModel):
    width: int
    height: int


class _Detection(BaseModel):
    faces: list[FaceOut]
    faces_found: int
    image: ImageSize = Field(description="Size of the upright image, in pixels.")


class Detection(Answer, _Detection): ...


class EmbeddedFace(FaceOut):
    embedding: list[float]
    threshold_offset: float = _OFFSET


class EmbedResult(BaseModel):
    faces: list[EmbeddedFace]
    faces_found: int
    error: dict[str, Any] | None  # a Problem without the members that do not apply


class _Embeddings(BaseModel):
    results: list[EmbedResult]


class Embeddings(Answer, _Embeddings): ...


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


class EnrolledFace(FaceOut):
    face_id: str
    subject_id: str
    enrolled_at: str


class NewFace(EnrolledFace, JudgedFace):
    index: int = Field(description="Index of the image in the request, from 0.")
    faces_found: int


class RejectedImage(BaseModel):
    index: int
    problem: dict[str, Any]  # a Problem without the members that do not apply


class Enrollment(BaseModel):
    enrolled: list[NewFace]
    rejected: list[RejectedImage]


class ExportedFace(EnrolledFace):
    embedding: list[float]
    threshold_offset: float = _OFFSET


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


class EnrolledFaces(BaseModel):
    faces: list[EnrolledFace]


class Health(BaseModel):
    status: Literal["alive", "stopping"]


class Readiness(BaseModel):
    status: Literal["ready"] = "ready"
    erasures_pending: int = Field(
        description="Deletions of which old pages are still on the disk, because a reader of the database needs them."
    )


class PendingErasure(BaseModel):
    """Deleted, and found by nobody; old pages stay on the disk until the readers of the database have ended."""

    erased: Literal["pending"] = "pending"


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
    rejected: list[RejectedImage] | None = Field(
        None, description="The problem of each image, where no image could be enrolled."
    )


def threshold_members(
    decision: Decision, point: OperatingPoint, fmr: float | None, calibrated_on: str | None
) -> dict[str, Any]:
    """Return the arguments that ThresholdOut and SearchThreshold share; `point` is the operating point for the pair."""
    return {
        "distance": point.threshold,
        "base": decision.point.threshold,
        "fmr": _rounded(fmr),
        "fnmr": _rounded(point.fnmr),
        "source": decision.source,
        "calibrated_on": calibrated_on,
    }


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else rounded_rate(rate)


def _points(landmarks: Landmarks) -> Sequence[tuple[float, float]]:
    return [(round(float(x), 3), round(float(y), 3)) for x, y in landmarks.points]
