"""Shape what was found in the photos of a request: faces, decisions, candidates and groups."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from app.api import responses
from app.api.presenters.members import enrolled_members, judged_members, vector_members
from app.api.problems import ProblemContext, problem_of
from app.domain.comparisons import Comparison, OperatingPoint
from app.domain.embeddings import Probe
from app.domain.errors import LikenessError, Rejected
from app.matching.threshold_policy import Decision
from app.pipeline import PhotoFaces
from app.services.container import Models
from app.services.enrollment import EnrollmentResult
from app.services.extraction import EmbeddedPhoto
from app.services.grouping import Groups
from app.services.identification import IdentificationResult
from app.services.timing import StageTimer
from app.services.verification import OneToMany, VerificationResult


class Presenter:
    """Shapes the response to one request."""

    def __init__(self, context: ProblemContext, models: Models, timer: StageTimer) -> None:
        self._context, self._models, self._timer = context, models, timer

    def verification(self, result: VerificationResult, names: Sequence[str]) -> responses.Verification:
        return responses.Verification(**self._verification(result, names))

    def subject_verification(self, result: VerificationResult, subject_id: str) -> responses.SubjectVerification:
        members = self._verification(result, ["image"])
        return responses.SubjectVerification(**members, subject_id=subject_id, face_id=result.face_id)

    def identification(self, result: IdentificationResult) -> responses.Identification:
        decision = result.decision
        return responses.Identification(
            faces=[
                responses.IdentifiedFace(
                    **judged_members(probe),
                    identified=bool(candidates),
                    candidates=[responses.CandidateOut.of(candidate, decision) for candidate in candidates],
                )
                for probe, candidates in zip(result.probes, result.candidates, strict=True)
            ],
            faces_found=result.faces_found,
            gallery=responses.SearchedGallery.of(result.gallery),
            threshold=responses.SearchThreshold(
                **self._threshold(decision, decision.point, decision.point.fmr), fpir=decision.overall_fmr
            ),
            **self._common(),
        )

    def detection(self, photo: PhotoFaces, crops: Sequence[bytes] = ()) -> responses.Detection:
        """`crops` are the JPEG files of the faces, if they were asked for."""
        encoded: list[str | None] = [b64encode(crop).decode() for crop in crops]
        return responses.Detection(
            faces=[
                responses.DetectedFace(**responses.FaceOut.members(face.face, face.quality), crop=crop)
                for face, crop in zip(photo.faces, encoded or [None] * len(photo.faces), strict=True)
            ],
            faces_found=photo.faces_found,
            image=responses.ImageSize(width=photo.width, height=photo.height),
            **self._common(),
        )

    def one_to_many(self, result: OneToMany) -> responses.OneToMany:
        return responses.OneToMany(
            face=_verified_face("image", result.probe),
            results=[self._compared(index, each, result.decision) for index, each in enumerate(result.others)],
            **self._common(),
        )

    def groups(self, result: Groups) -> responses.Clustering:
        point = result.decision.point
        return responses.Clustering(
            groups=[list(group) for group in result.groups],
            rejected=self._rejected(result.rejected),
            threshold=responses.ThresholdOut(**self._threshold(result.decision, point, point.fmr)),
            **self._common(),
        )

    def embeddings(self, photos: Sequence[EmbeddedPhoto | LikenessError]) -> responses.Embeddings:
        return responses.Embeddings(results=[self._embed_result(photo) for photo in photos], **self._common())

    def enrollment(self, result: EnrollmentResult) -> dict[str, Any]:
        """Return the document of a responses.Enrollment, which the service stores under an Idempotency-Key."""
        return responses.Enrollment(
            enrolled=[
                responses.NewFace(
                    **enrolled_members(each.template),
                    index=each.index,
                    faces_found=each.faces_found,
                    liveness=responses.LivenessOut.of(each.liveness),
                )
                for each in result.enrolled
            ],
            rejected=self._rejected(result.rejected),
            duplicates=[
                responses.DuplicateOut(index=each.index, subject_id=each.subject_id, distance=each.distance.squared_l2)
                for each in result.duplicates
            ],
        ).model_dump()

    def _verification(self, result: VerificationResult, names: Sequence[str]) -> dict[str, Any]:
        return {
            **self._comparison(result.comparison, result.decision),
            "faces": [
                _verified_face(name, probe) for name, probe in zip(names, result.probes, strict=True) if probe.face
            ],
            **self._common(),
        }

    def _comparison(self, comparison: Comparison, decision: Decision) -> dict[str, Any]:
        point = comparison.point
        fmr = point.fpir(decision.templates) if decision.is_plain else decision.overall_fmr
        return {
            "match": comparison.match,
            "distance": comparison.distance.squared_l2,
            "similarity": comparison.distance.similarity,
            "probability": comparison.probability,
            "threshold": responses.ThresholdOut(**self._threshold(decision, point, fmr)),
        }

    def _compared(
        self, index: int, other: tuple[Probe, Comparison] | LikenessError, decision: Decision
    ) -> responses.ComparedPhoto:
        if isinstance(other, LikenessError):
            nothing = dict.fromkeys(("match", "distance", "similarity", "probability", "threshold", "face"))
            return responses.ComparedPhoto(index=index, **nothing, error=problem_of(self._context, other))
        probe, comparison = other
        return responses.ComparedPhoto(
            index=index, **self._comparison(comparison, decision), face=_verified_face("others", probe), error=None
        )

    def _rejected(self, rejected: Sequence[Rejected]) -> list[responses.RejectedImage]:
        return [
            responses.RejectedImage(index=each.index, problem=problem_of(self._context, each.error))
            for each in rejected
        ]

    def _threshold(self, decision: Decision, point: OperatingPoint, fmr: float | None) -> dict[str, Any]:
        calibration = self._models.calibration
        calibrated_on = calibration.data.name if calibration else None
        return responses.threshold_members(decision, point, fmr, calibrated_on)

    def _common(self) -> dict[str, Any]:
        manifest = self._models.embedder_manifest
        return {
            "model": responses.ModelOut(id=manifest.id, digest=manifest.file.digest),
            "timings_ms": self._timer.milliseconds(),
            "request_id": self._context.request_id,
        }

    def _embed_result(self, photo: EmbeddedPhoto | LikenessError) -> responses.EmbedResult:
        if isinstance(photo, LikenessError):
            return responses.EmbedResult(faces=[], faces_found=0, error=problem_of(self._context, photo))
        faces = [
            responses.EmbeddedFace(
                **responses.FaceOut.members(probe.face, probe.quality), **vector_members(probe.embedding)
            )
            for probe in photo.probes
        ]
        return responses.EmbedResult(faces=faces, faces_found=photo.faces_found, error=None)


def _verified_face(name: str, probe: Probe) -> responses.VerifiedFace:
    return responses.VerifiedFace(**judged_members(probe), image=name, faces_found=probe.faces_found)
