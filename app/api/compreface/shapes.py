"""Answers as CompreFace gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.api.compreface.fields import CALCULATOR, LANDMARKS, PhotoFields
from app.domain.comparisons import Comparison
from app.domain.embeddings import Embedding, Probe
from app.domain.faces import Face
from app.gallery.records import FacePage, FaceReference
from app.services.container import Models
from app.services.identification import IdentificationResult
from app.services.timing import StageTimer
from app.services.verification import ComparedFaces

_DIGITS = 5


def example(face: FaceReference) -> dict[str, str]:
    return {"image_id": face.face_id, "subject": face.subject_id}


def example_page(page: FacePage, number: int, size: int) -> dict[str, Any]:
    return {
        "faces": [example(face) for face in page.faces],
        "page_number": number,
        "page_size": size,
        "total_pages": -(-page.total // size),
        "total_elements": page.total,
    }


class Shapes:
    """Shapes the answer to one request about photos."""

    def __init__(self, fields: PhotoFields, models: Models, timer: StageTimer) -> None:
        self._fields, self._models, self._timer = fields, models, timer

    def detection(self, faces: Sequence[Face], embeddings: Sequence[Embedding | None]) -> dict[str, Any]:
        return self._answer([self._face(*each) for each in zip(faces, embeddings, strict=True)])

    def recognition(self, result: IdentificationResult) -> dict[str, Any]:
        return self._answer(
            [
                self._probe(probe)
                | {
                    "subjects": [
                        {"subject": each.subject_id, "similarity": self._similarity(each.comparison)}
                        for each in candidates
                    ]
                }
                for probe, candidates in zip(result.probes, result.candidates, strict=True)
            ]
        )

    def comparison(self, result: ComparedFaces) -> dict[str, Any]:
        return self._answer(self._matches(result))

    def verification(self, result: ComparedFaces) -> dict[str, Any]:
        members: dict[str, Any] = {"face_matches": self._matches(result)}
        if result.source:
            members["source_image_face"] = self._probe(result.source)
        return {"result": [members | self._versions()]}

    def _answer(self, faces: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"result": faces} | self._versions()

    def _matches(self, result: ComparedFaces) -> list[dict[str, Any]]:
        return [
            self._probe(probe) | {"similarity": self._similarity(comparison)}
            for probe, comparison in zip(result.probes, result.comparisons, strict=True)
        ]

    def _similarity(self, comparison: Comparison) -> float:
        """
        Return the calibrated probability; 0 if the distance is not told.

        A model without a calibration has none, and the cosine takes its place.
        """
        if self._models.calibration is None:
            return round(max(0.0, comparison.distance.similarity), _DIGITS)
        return round(comparison.probability or 0.0, _DIGITS)

    def _probe(self, probe: Probe) -> dict[str, Any]:
        assert probe.face is not None  # noqa: S101 - these routes take photos alone
        return self._face(probe.face, probe.embedding)

    def _face(self, face: Face, embedding: Embedding | None) -> dict[str, Any]:
        box, members = face.box, dict[str, Any]()
        members["box"] = {
            "probability": round(face.confidence, _DIGITS),
            "x_max": round(box.right),
            "y_max": round(box.bottom),
            "x_min": max(0, round(box.left)),
            "y_min": max(0, round(box.top)),
        }
        if self._fields.asks_for(LANDMARKS):
            members["landmarks"] = face.landmarks.points.round().astype(int).tolist()
        if self._fields.asks_for(CALCULATOR) and embedding is not None:
            members["embedding"] = embedding.vector.tolist()
        if self._fields.status:
            times = self._timer.milliseconds()
            members["execution_time"] = {"detector": times["detect"], "calculator": times["embed"]}
        return members

    def _versions(self) -> dict[str, Any]:
        if not self._fields.status:
            return {}
        models = self._models
        return {
            "plugins_versions": {"detector": models.detector_manifest.id, "calculator": models.embedder_manifest.id}
        }
