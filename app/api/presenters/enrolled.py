"""Shape what is stored of a subject."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from app.api import responses
from app.api.presenters.members import enrolled_members, vector_members
from app.domain.embeddings import Template
from app.gallery.records import SubjectFile


def enrolled_faces(templates: Sequence[Template]) -> responses.EnrolledFaces:
    return responses.EnrolledFaces(
        faces=[responses.EnrolledFace(**enrolled_members(template)) for template in templates]
    )


def subject_export(file: SubjectFile) -> responses.SubjectExport:
    subject = file.subject
    return responses.SubjectExport(
        gallery=file.gallery.id,
        subject_id=subject.subject_id,
        metadata=dict(subject.metadata),
        consent=subject.consent,
        expires_at=subject.expires_at,
        created_at=subject.created_at,
        model=file.gallery.model,
        faces=[_exported_face(face) for face in file.faces],
        events=[dict(event) for event in file.events],
        saved_responses=[
            responses.SavedResponse(
                idempotency_key=record.key, request_digest=record.request_digest, response=dict(record.response)
            )
            for record in file.saved_responses
        ],
    )


def _exported_face(face: Template) -> responses.ExportedFace:
    return responses.ExportedFace(
        **enrolled_members(face),
        **vector_members(face.embedding),
        crop=b64encode(face.crop).decode() if face.crop else None,
    )
