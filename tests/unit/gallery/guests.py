"""A gallery with something of everything."""

from typing import Any

from app.domain.embeddings import Template
from app.gallery.repository import GalleryRepository
from tests.support.templates import numbered
from tests.support.vectors import Near

ODD = "Žofie / 李 '; DROP TABLE faces; --\u2028"


def fill(repository: GalleryRepository) -> None:
    metadata = {"name": "Ada", "tags": [1, None, "ü"]}
    repository.put_subject("guests", "ada", metadata, consent="form 7", expires_at="2999-01-01T00:00:00.000Z")
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    repository.enroll("guests", ODD, numbered(ODD, 3))
    repository.put_subject("guests", "nobody yet", {})


def contents(repository: GalleryRepository, gallery: str) -> dict[str, Any]:
    """All that a gallery holds, in values that can be compared."""
    return {
        subject.subject_id: (
            (subject.metadata, subject.consent, subject.expires_at),
            [values(face) for face in repository.faces(gallery, subject.subject_id)],
        )
        for subject in repository.subjects(gallery, 1000, "")
    }


def values(enrolled: Template) -> tuple[Any, ...]:
    face, vector = enrolled.face, Near(enrolled.embedding.vector)
    detected = (face.box, face.landmarks.points.tobytes(), face.confidence, enrolled.quality) if face else ()
    return (enrolled.face_id, vector, enrolled.embedding.model, *detected, enrolled.enrolled_at)
