"""Take the faces of a request: photos, or vectors of /embed in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.api.image_fields import ImageField
from app.api.requests import VectorFields
from app.api.uploads import Submission
from app.domain.embeddings import Embedding
from app.domain.errors import InvalidRequest
from app.domain.identity import Caller, Scope
from app.services.extraction import FaceInput
from app.services.vectors import Vectors


def given_faces(
    submission: Submission, fields: VectorFields, images: Sequence[ImageField], vectors: Vectors, caller: Caller
) -> list[FaceInput]:
    """
    Return the photos or the vectors of each field, in order.

    Raises InvalidRequest if a field has both, MissingScope if the caller may not give vectors, or the errors of
    Vectors.embedding.
    """
    photos = submission.photos(fields.orientation, fields.liveness)
    faces: list[FaceInput] = []
    for image in images:
        uploads = [photo for photo in photos if photo.name == image.name]
        embeddings = list(_embeddings(fields, image, vectors, caller))
        if uploads and embeddings:
            detail = f"expected {image.name} or {image.embeddings[0]}, got both"
            raise InvalidRequest(detail, [(image.embeddings[0], detail)])
        if embeddings and fields.liveness != "off":
            detail = "expected photos: a vector does not tell whether a face is live"
            raise InvalidRequest(f"liveness: {detail}", [("liveness", detail)])
        faces += uploads or embeddings
    return faces


def _embeddings(fields: VectorFields, image: ImageField, vectors: Vectors, caller: Caller) -> Iterator[Embedding]:
    for field in image.embeddings:
        given = getattr(fields, field)
        if given is not None:
            caller.require(Scope.EMBED)
            several = given if isinstance(given[0], list) else [given]
            yield from (vectors.embedding(field, numbers, fields.model) for numbers in several)
