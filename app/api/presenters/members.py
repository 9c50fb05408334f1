"""The members that several responses have."""

from __future__ import annotations

from typing import Any

from app.api import responses
from app.domain.embeddings import Embedding, Probe, Template


def judged_members(probe: Probe) -> dict[str, Any]:
    return {
        **responses.FaceOut.members(probe.face, probe.quality),
        "liveness": responses.LivenessOut.of(probe.liveness),
    }


def vector_members(embedding: Embedding) -> dict[str, Any]:
    return {"embedding": embedding.vector.tolist(), "threshold_offset": embedding.threshold_offset}


def enrolled_members(template: Template) -> dict[str, Any]:
    return {
        **responses.FaceOut.members(template.face, template.quality),
        "face_id": template.face_id,
        "subject_id": template.subject_id,
        "enrolled_at": template.enrolled_at,
    }
