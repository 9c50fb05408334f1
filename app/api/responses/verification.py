"""The answers to comparisons of two faces."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.api.responses.faces import Answer, FaceOut, Judged
from app.domain.comparisons import Comparison, OperatingPoint, rounded_rate
from app.matching.threshold_policy import Decision, Source


class VerifiedFace(FaceOut, Judged):
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
    faces: list[VerifiedFace] = Field(description="The faces of the photos; a vector has none.")


class Verification(Answer, _Verification): ...


class ComparedPhoto(BaseModel):
    """The comparison with one of `others`; all but `error` is null if the photo has no usable face."""

    index: int = Field(description="Index of the photo in `others`, from 0.")
    match: bool | None
    distance: float | None
    similarity: float | None
    probability: float | None
    threshold: ThresholdOut | None
    face: VerifiedFace | None
    error: dict[str, Any] | None  # a Problem without the members that do not apply


class _OneToMany(BaseModel):
    face: VerifiedFace = Field(description="The face of `image`.")
    results: list[ComparedPhoto] = Field(description="One for each of `others`, in order.")
    metric: Literal["squared_l2"] = "squared_l2"


class OneToMany(Answer, _OneToMany): ...


class SubjectVerification(Verification):
    subject_id: str
    face_id: str | None = Field(description="The nearest enrolled face; null beyond the bound.")


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
