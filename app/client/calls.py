"""Each route as a value: the request to send, and how to read its answer. The clients differ only in how they send."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict, TypeVar
from urllib.parse import quote

from app.client import records, results
from app.client.call import Call, Fields, given
from app.client.faces import FaceInput, Photo, Vector, content, json_of
from app.client.reading import read

T = TypeVar("T")

FaceRule = Literal["largest", "center", "only"]
Orientation = Literal["auto", "exif"]
LivenessMode = Literal["off", "report", "require"]
LONG_TIMEOUT = 3660.0
"""Seconds: longer than the service's own deadline of requests that may take long."""


class PhotoOptions(TypedDict, total=False):
    """Options that are absent or None have their defaults (docs/api.md)."""

    orientation: Orientation | None


class DetectOptions(PhotoOptions, total=False):
    """With `crops`, each face also has its aligned picture."""

    crops: bool | None


class FaceOptions(PhotoOptions, total=False):
    face: FaceRule | None


class ThresholdOptions(FaceOptions, total=False):
    """The threshold of a false match rate, or the caller's own; not both."""

    fmr: float | None
    threshold: float | None


class CompareOptions(ThresholdOptions, total=False):
    liveness: LivenessMode | None


class EmbedOptions(FaceOptions, total=False):
    faces: Literal["largest", "all"] | None


class SearchOptions(EmbedOptions, total=False):
    """Options of a search; with `faces="all"`, every face of the photo is searched for."""

    gallery: str | None
    top_k: int | None
    fpir: float | None
    threshold: float | None
    liveness: LivenessMode | None


class EnrollOptions(FaceOptions, total=False):
    """Options of an enrolment; with `on_duplicate="reject"`, a face that is already someone else's is refused."""

    on_duplicate: Literal["report", "reject"] | None
    liveness: LivenessMode | None


def verify(image1: FaceInput, image2: FaceInput, fields: Fields) -> Call[results.Verification]:
    return _with_faces("/verify", results.Verification, [("image1", image1), ("image2", image2)], fields)


def compare(image: Photo, others: Sequence[Photo], fields: Fields) -> Call[results.OneToMany]:
    faces = [("image", image), *(("others", other) for other in others)]
    return _with_faces("/compare", results.OneToMany, faces, fields)


def identify(image: FaceInput, fields: Fields) -> Call[results.Identification]:
    return _with_faces("/identify", results.Identification, [("image", image)], fields)


def detect(image: Photo, fields: Fields) -> Call[results.Detection]:
    return _with_faces("/detect", results.Detection, [("image", image)], fields)


def embed(images: Sequence[Photo], fields: Fields) -> Call[results.Embeddings]:
    return _with_faces("/embed", results.Embeddings, [("image", image) for image in images], fields)


def cluster(images: Sequence[Photo], fields: Fields) -> Call[results.Clustering]:
    faces = [("image", image) for image in images]
    return _with_faces("/cluster", results.Clustering, faces, fields, timeout=LONG_TIMEOUT)


def enroll(
    gallery: str, subject: str, images: Sequence[FaceInput], key: str | None, fields: Fields
) -> Call[records.Enrollment]:
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    path, faces = f"{subject_path(gallery, subject)}/faces", [("image", image) for image in images]
    return _with_faces(path, records.Enrollment, faces, fields, headers=headers)


def calibration(model: str) -> Call[Any]:
    return Call("GET", f"/models/{_segment(model)}/calibration", lambda document: document)


def verify_subject(gallery: str, subject: str, image: FaceInput, fields: Fields) -> Call[results.Verification]:
    return _with_faces(f"{subject_path(gallery, subject)}/verify", results.Verification, [("image", image)], fields)


def galleries() -> Call[list[records.Gallery]]:
    return Call("GET", "/galleries", lambda value: read(records.Galleries, value).galleries)


def gallery(name: str) -> Call[records.Gallery]:
    return Call("GET", gallery_path(name), _reader(records.Gallery))


def create_gallery(name: str) -> Call[records.Gallery]:
    return Call("PUT", gallery_path(name), _reader(records.Gallery))


def delete_gallery(name: str) -> Call[bool]:
    return Call("DELETE", gallery_path(name), _is_erased)


def subjects(name: str, limit: int | None, cursor: str | None) -> Call[records.SubjectPage]:
    query = {"limit": limit, "cursor": cursor}
    return Call("GET", f"{gallery_path(name)}/subjects", _reader(records.SubjectPage), query=query)


def subject(name: str, subject_id: str) -> Call[records.Subject]:
    return Call("GET", subject_path(name, subject_id), _reader(records.Subject))


def put_subject(
    name: str, subject_id: str, metadata: Mapping[str, Any] | None, consent: str | None, expires_at: datetime | None
) -> Call[records.Subject]:
    expiry = expires_at.isoformat() if expires_at else None
    return describe(name, subject_id, {"metadata": metadata, "consent": consent, "expires_at": expiry})


def describe(name: str, subject_id: str, fields: Fields) -> Call[records.Subject]:
    """Return the call of `put_subject` with fields as the API takes them."""
    return Call("PUT", subject_path(name, subject_id), _reader(records.Subject), json=given(fields))


def rename(name: str, subject_id: str, new_id: str) -> Call[records.Subject]:
    path = subject_path(name, subject_id)
    return Call("PATCH", path, _reader(records.Subject), json={"id": new_id}, is_repeatable=False)


def merge(name: str, subject_id: str, other: str, faces: Sequence[str] | None) -> Call[records.Subject]:
    members = given({"from": other, "faces": None if faces is None else list(faces)})
    path = f"{subject_path(name, subject_id)}/merge"
    return Call("POST", path, _reader(records.Subject), json=members, is_repeatable=False)


def export_subject(name: str, subject_id: str) -> Call[records.SubjectExport]:
    return Call("GET", f"{subject_path(name, subject_id)}/export", _reader(records.SubjectExport))


def delete_subject(name: str, subject_id: str) -> Call[bool]:
    return Call("DELETE", subject_path(name, subject_id), _is_erased)


def faces(name: str, subject_id: str) -> Call[list[records.EnrolledFace]]:
    path = f"{subject_path(name, subject_id)}/faces"
    return Call("GET", path, lambda value: read(records.EnrolledFaces, value).faces)


def delete_face(name: str, subject_id: str, face_id: str) -> Call[bool]:
    return Call("DELETE", f"{subject_path(name, subject_id)}/faces/{_segment(face_id)}", _is_erased)


def subject_path(gallery_id: str, subject_id: str) -> str:
    return f"{gallery_path(gallery_id)}/subjects/{_segment(subject_id)}"


def gallery_path(name: str) -> str:
    return f"/galleries/{_segment(name)}"


def _segment(identifier: str) -> str:
    """Return an id as a part of a path. Unless they are encoded, httpx takes `.` and `..` for steps in the path."""
    return quote(identifier, safe="") if identifier.strip(".") else "%2E" * len(identifier)


def _with_faces(
    path: str, kind: type[T], faces: Sequence[tuple[str, FaceInput]], fields: Fields, **more: Any
) -> Call[T]:
    """Return a call that sends photos as a form, or as JSON if there are vectors among them."""
    if any(isinstance(face, Vector) for _, face in faces):
        return Call("POST", path, _reader(kind), json={**given(fields), **json_of(faces)}, **more)
    photos = [(name, content(face)) for name, face in faces if not isinstance(face, Vector)]
    return Call("POST", path, _reader(kind), photos=photos, fields=fields, **more)


def _reader(kind: type[T]) -> Callable[[Any], T]:
    return lambda value: read(kind, value)


def _is_erased(answer: Any) -> bool:
    """Return whether nothing is left on the disk: not yet while another reader of the database is open (202)."""
    return answer is None
