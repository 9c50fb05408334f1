"""What the services found, in the words of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.api import responses
from app.api.problems import ProblemContext, problem_of
from app.domain.errors import LikenessError, Rejected
from app.domain.models import Probe, Template
from app.gallery.codec import SubjectFile
from app.matching.threshold_policy import Decision
from app.pipeline import PhotoFaces
from app.services.container import Models, Services
from app.services.enrollment import EnrollmentResult
from app.services.identification import IdentificationResult
from app.services.timing import StageTimer
from app.services.verification import VerificationResult


class Presenter:
    """Shapes the answers to one request."""

    def __init__(self, origin: ProblemContext, services: Services, timer: StageTimer) -> None:
        self._origin, self._services, self._timer = origin, services, timer

    def verification(self, verified: VerificationResult, names: Sequence[str]) -> responses.Verification:
        return responses.Verification(**self._verification(verified, names))

    def subject_verification(self, verified: VerificationResult, subject_id: str) -> responses.SubjectVerification:
        parts = self._verification(verified, ["image"])
        return responses.SubjectVerification(**parts, subject_id=subject_id, face_id=verified.face_id or "")

    def identification(self, found: IdentificationResult) -> responses.Identification:
        return responses.Identification(
            faces=[
                responses.IdentifiedFace(
                    **responses.FaceOut.parts(probe.face, probe.quality),
                    identified=bool(candidates),
                    candidates=[responses.CandidateOut.of(candidate) for candidate in candidates],
                )
                for probe, candidates in zip(found.probes, found.candidates, strict=True)
            ],
            faces_found=found.faces_found,
            gallery=responses.SearchedGallery.of(found.gallery),
            threshold=responses.SearchThreshold(
                **self._threshold(found.decision, found.decision.point.fmr), fpir=found.decision.overall_fmr
            ),
            **self._answer(),
        )

    def detection(self, photo: PhotoFaces) -> responses.Detection:
        return responses.Detection(
            faces=[responses.FaceOut(**responses.FaceOut.parts(face.face, face.quality)) for face in photo.faces],
            faces_found=photo.faces_found,
            image={"width": photo.width, "height": photo.height},
            **self._answer(),
        )

    def embeddings(self, photos: Sequence[PhotoFaces | LikenessError], probes: Sequence[Probe]) -> responses.Embeddings:
        waiting = iter(probes)
        results = [
            self._failed(photo) if isinstance(photo, LikenessError) else self._embedded(photo, waiting)
            for photo in photos
        ]
        return responses.Embeddings(results=results, **self._answer())

    def enrollment(self, enrolled: Sequence[EnrollmentResult], rejected: Sequence[Rejected]) -> dict[str, Any]:
        return responses.Enrollment(
            enrolled=[
                responses.NewFace(**_enrolled(each.template), index=each.index, faces_found=each.faces_found)
                for each in enrolled
            ],
            rejected=[
                responses.RejectedImage(index=each.index, problem=problem_of(self._origin, each.error))
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
            "threshold": responses.ThresholdOut(**self._threshold(decision, decision.overall_fmr)),
            "faces": [
                responses.VerifiedFace(
                    **responses.FaceOut.parts(probe.face, probe.quality), image=name, faces_found=probe.faces_found
                )
                for name, probe in zip(names, verified.probes, strict=True)
            ],
            **self._answer(),
        }

    def _threshold(self, decision: Decision, fmr: float | None) -> dict[str, Any]:
        calibration = self._services.models.calibration
        return responses.threshold_parts(decision, fmr, calibration.data.name if calibration else None)

    def _answer(self) -> dict[str, Any]:
        manifest = self._services.models.embedder_manifest
        return {
            "model": responses.ModelOut(id=manifest.id, digest=manifest.file.digest),
            "timings_ms": self._timer.milliseconds(),
            "request_id": self._origin.request_id,
        }

    def _failed(self, error: LikenessError) -> responses.EmbedResult:
        return responses.EmbedResult(faces=[], faces_found=0, error=problem_of(self._origin, error))

    @staticmethod
    def _embedded(photo: PhotoFaces, probes: Any) -> responses.EmbedResult:
        faces = [
            responses.EmbeddedFace(
                **responses.FaceOut.parts(probe.face, probe.quality), embedding=probe.embedding.vector.tolist()
            )
            for probe in (next(probes) for _ in photo.faces)
        ]
        return responses.EmbedResult(faces=faces, faces_found=photo.faces_found, error=None)


def loaded_models(models: Models) -> responses.LoadedModels:
    embedder, detector = models.embedder_manifest, models.detector_manifest
    return responses.LoadedModels(
        models=[
            responses.LoadedModel(
                id=embedder.id,
                kind=embedder.kind,
                digest=embedder.file.digest,
                license=embedder.license,
                provider=models.provider,
                dimension=embedder.dimension,
                crop_size=embedder.crop_size,
                calibrated=models.calibration is not None,
            ),
            responses.LoadedModel(
                id=detector.id,
                kind=detector.kind,
                digest=detector.digest,
                license=detector.license,
                provider=models.provider,
            ),
        ]
    )


def subject_file(file: SubjectFile) -> responses.SubjectExport:
    subject = file.subject
    return responses.SubjectExport(
        gallery=file.gallery.id,
        subject_id=subject.subject_id,
        metadata=dict(subject.metadata),
        created_at=subject.created_at,
        model=file.gallery.model,
        faces=[
            responses.ExportedFace(**_enrolled(face), embedding=face.embedding.vector.tolist()) for face in file.faces
        ],
        events=[dict(event) for event in file.events],
    )


def enrolled_faces(templates: Sequence[Template]) -> responses.EnrolledFaces:
    return responses.EnrolledFaces(faces=[responses.EnrolledFace(**_enrolled(template)) for template in templates])


def _enrolled(template: Template) -> dict[str, Any]:
    return {
        **responses.FaceOut.parts(template.face, template.quality),
        "face_id": template.face_id,
        "subject_id": template.subject_id,
        "enrolled_at": template.enrolled_at,
    }
