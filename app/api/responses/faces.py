"""Faces as answers describe them, and the members that all answers about photos share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema

from app.domain.faces import Face, Landmarks, Liveness, Quality


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
    def members(face: Face | None, quality: Quality | None) -> dict[str, Any]:
        """Return the arguments that this class, FaceOrVectorOut and those derived from them share."""
        if face is None or quality is None:
            return dict.fromkeys(FaceOut.model_fields)
        box = face.box
        return {
            "box": tuple(round(side, 3) for side in (box.left, box.top, box.right, box.bottom)),
            "landmarks": _points(face.landmarks),
            "confidence": round(face.confidence, 6),
            "quality": QualityOut.of(quality),
            "rotated": face.rotated,
        }


class FaceOrVectorOut(BaseModel):
    """A face as `FaceOut`; every member is null if the face was given as a vector, without a photo."""

    box: Sides | None
    landmarks: list[Point] | None
    confidence: float | None
    quality: QualityOut | None
    rotated: int | None = Field(None, description="Degrees clockwise by which the photo was turned to find the face.")


class LivenessOut(BaseModel):
    """Advisory: how live the face looks, and whether that reaches the service's threshold."""

    score: float = Field(ge=0, le=1)
    live: bool

    @classmethod
    def of(cls, liveness: Liveness | None) -> LivenessOut | None:
        return cls(score=liveness.score, live=liveness.live) if liveness else None


class Judged(BaseModel):
    """A face that has a `liveness` if the request asked for it."""

    liveness: LivenessOut | None = Field(None, exclude_if=lambda value: value is None)


class ModelOut(BaseModel):
    id: str
    digest: str


class Answer(BaseModel):
    """The last members of every response about a photo (pydantic puts the fields of the last base class first)."""

    model: ModelOut
    timings_ms: dict[str, float]
    request_id: str


def _points(landmarks: Landmarks) -> Sequence[tuple[float, float]]:
    return [(round(float(x), 3), round(float(y), 3)) for x, y in landmarks.points]
