"""What the services found, in the words of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.api.problems import ProblemContext, problem_of
from app.domain.errors import LikenessError, Rejected
from app.domain.models import Probe, Template
from app.gallery.codec import SubjectFile
from app.matching.threshold_policy import Decision
from app.services.container import Services
from app.services.enrollment import EnrollmentResult
from app.services.extraction import PhotoFaces
from app.services.identification import IdentificationResult
from app.services.timing import StageTimer
from app.services.verification import VerificationResult


class Presenter:
    """Shapes the answers to one request."""

    def __init__(self, origin: ProblemContext, services: Services, timer: StageTimer) -> None:
        self._origin, self._services, self._timer = origin, services, timer

    def verification(self, verified: VerificationResult, names: Sequence[str]) -> schemas.Verification:
        return schemas.Verification(**self._verification(verified, names))

    def subject_verification(self, verified: VerificationResult, subject_id: str) -> schemas.SubjectVerification:
        parts = self._verification(verified, ["image"])
        return schemas.SubjectVerification(**parts, subject_id=subject_id, face_id=verified.face_id or "")

    def identification(self, found: IdentificationResult) -> schemas.Identification:
        return schemas.Identification(
            faces=[
                schemas.IdentifiedFace(
                    **schemas.FaceOut.parts(probe.face, probe.quality),
                    identified=bool(candidates),
                    candidates=[schemas.CandidateOut.of(candidate) for candidate in candidates],
                )
                for probe, candidates in zip(found.probes, found.candidates, strict=True)
            ],
            faces_found=found.faces_found,
            gallery=schemas.SearchedGallery.of(found.gallery),
            threshold=schemas.SearchThreshold(
                **self._threshold(found.decision, found.decision.point.fmr), fpir=found.decision.overall_fmr
            ),
            **self._answer(),
        )

    def detection(self, sight: PhotoFaces) -> schemas.Detection:
        return schemas.Detection(
            faces=[schemas.FaceOut(**schemas.FaceOut.parts(view.face, view.quality)) for view in sight.views],
            faces_found=sight.faces_found,
            image={"width": sight.width, "height": sight.height},
            **self._answer(),
        )

    def embeddings(self, sights: Sequence[PhotoFaces | LikenessError], probes: Sequence[Probe]) -> schemas.Embeddings:
        waiting = iter(probes)
        results = [
            self._failed(sight) if isinstance(sight, LikenessError) else self._embedded(sight, waiting)
            for sight in sights
        ]
        return schemas.Embeddings(results=results, **self._answer())

    def enrollment(self, enrolled: Sequence[EnrollmentResult], rejected: Sequence[Rejected]) -> dict[str, Any]:
        return schemas.Enrollment(
            enrolled=[
                schemas.NewFace(**_enrolled(each.template), index=each.index, faces_found=each.faces_found)
                for each in enrolled
            ],
            rejected=[
                schemas.RejectedImage(index=each.index, problem=problem_of(self._origin, each.error))
                for each in rejected
            ],
        ).model_dump()

    def _verification(self, verified: VerificationResult, names: Sequence[str]) -> dict[str, Any]:
        comparison, decision = verified.comparison, verified.decision
        return {
            "match": comparison.match,
            "distance": comparison.distance.squared_l2,
            "similarity": comparison.distance.similarity,
            "probability": comparison.probability,
            "threshold": schemas.ThresholdOut(**self._threshold(decision, decision.overall_fmr)),
            "faces": [
                schemas.VerifiedFace(
                    **schemas.FaceOut.parts(probe.face, probe.quality), image=name, faces_found=probe.faces_found
                )
                for name, probe in zip(names, verified.probes, strict=True)
            ],
            **self._answer(),
        }

    def _threshold(self, decision: Decision, fmr: float | None) -> dict[str, Any]:
        calibration = self._services.models.calibration
        worst = self._services.policy.worst_cohort(decision)
        return schemas.threshold_parts(decision, fmr, calibration.data.name if calibration else None, worst)

    def _answer(self) -> dict[str, Any]:
        manifest = self._services.models.embedder_manifest
        return {
            "model": schemas.ModelOut(id=manifest.id, digest=manifest.file.digest),
            "timings_ms": self._timer.milliseconds(),
            "request_id": self._origin.request_id,
        }

    def _failed(self, error: LikenessError) -> schemas.EmbedResult:
        return schemas.EmbedResult(faces=[], faces_found=0, error=problem_of(self._origin, error))

    @staticmethod
    def _embedded(sight: PhotoFaces, probes: Any) -> schemas.EmbedResult:
        faces = [
            schemas.EmbeddedFace(
                **schemas.FaceOut.parts(probe.face, probe.quality), embedding=probe.embedding.vector.tolist()
            )
            for probe in (next(probes) for _ in sight.views)
        ]
        return schemas.EmbedResult(faces=faces, faces_found=sight.faces_found, error=None)


def subject_file(file: SubjectFile) -> schemas.SubjectExport:
    subject = file.subject
    return schemas.SubjectExport(
        gallery=file.gallery.id,
        subject_id=subject.subject_id,
        metadata=dict(subject.metadata),
        created_at=subject.created_at,
        model=file.gallery.model,
        faces=[
            schemas.ExportedFace(**_enrolled(face), embedding=face.embedding.vector.tolist()) for face in file.faces
        ],
        events=[dict(event) for event in file.events],
    )


def enrolled_faces(templates: Sequence[Template]) -> schemas.EnrolledFaces:
    return schemas.EnrolledFaces(faces=[schemas.EnrolledFace(**_enrolled(template)) for template in templates])


def _enrolled(template: Template) -> dict[str, Any]:
    return {
        **schemas.FaceOut.parts(template.face, template.quality),
        "face_id": template.face_id,
        "subject_id": template.subject_id,
        "enrolled_at": template.enrolled_at,
    }
