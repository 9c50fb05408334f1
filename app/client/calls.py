"""Each route as a value: the request to send, and how to read its answer. The clients differ only in how they send."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypeAlias, TypedDict, TypeVar
from urllib.parse import quote

from app.client import results
from app.client.results import read

T = TypeVar("T")

Photo: TypeAlias = "str | PathLike[str] | bytes | BinaryIO"
"""The path of an image file, its bytes, or a file that is open for reading bytes."""
FaceRule = Literal["largest", "center", "only"]
Fields = Mapping[str, Any]
Orientation = Literal["auto", "exif"]
LivenessMode = Literal["off", "report", "require"]


class CompareOptions(TypedDict, total=False):
    """Options of a comparison: the threshold of a false match rate, or the caller's own. Absent ones have defaults."""

    fmr: float | None
    threshold: float | None
    face: FaceRule | None
    orientation: Orientation | None
    liveness: LivenessMode | None


class SearchOptions(TypedDict, total=False):
    """Options of a search; with `faces="all"`, every face of the photo is searched for."""

    gallery: str | None
    top_k: int | None
    face: FaceRule | None
    faces: Literal["largest", "all"] | None
    fpir: float | None
    threshold: float | None
    orientation: Orientation | None
    liveness: LivenessMode | None


class EmbedOptions(TypedDict, total=False):
    face: FaceRule | None
    faces: Literal["largest", "all"] | None
    orientation: Orientation | None


class EnrollOptions(TypedDict, total=False):
    """Options of an enrolment; with `on_duplicate="reject"`, a face that is already someone else's is refused."""

    face: FaceRule | None
    on_duplicate: Literal["report", "reject"] | None
    orientation: Orientation | None
    liveness: LivenessMode | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how to read its answer. `photos` are (field, bytes); `fields` without a value are left out."""

    method: str
    path: str
    result: Callable[[Any], T]
    photos: Sequence[tuple[str, bytes]] = ()
    fields: Fields = field(default_factory=dict)
    json: Any = None
    query: Fields = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an httpx client's `request`."""
        given: dict[str, Any] = {"headers": dict(self.headers), "params": _given(self.query)}
        if self.photos:
            given["files"] = [(name, (name, data, "application/octet-stream")) for name, data in self.photos]
            given["data"] = _given(self.fields)
        elif self.json is not None:
            given["json"] = self.json
        return given


def verify(image1: Photo, image2: Photo, fields: Fields) -> Call[results.Verification]:
    photos = [("image1", content(image1)), ("image2", content(image2))]
    return Call("POST", "/verify", _reader(results.Verification), photos=photos, fields=fields)


def identify(image: Photo, fields: Fields) -> Call[results.Identification]:
    return Call("POST", "/identify", _reader(results.Identification), photos=[("image", content(image))], fields=fields)


def detect(image: Photo, fields: Fields) -> Call[results.Detection]:
    return Call("POST", "/detect", _reader(results.Detection), photos=[("image", content(image))], fields=fields)


def embed(images: Sequence[Photo], fields: Fields) -> Call[results.Embeddings]:
    photos = [("image", content(image)) for image in images]
    return Call("POST", "/embed", _reader(results.Embeddings), photos=photos, fields=fields)


def enroll(
    gallery: str, subject: str, images: Sequence[Photo], key: str | None, fields: Fields
) -> Call[results.Enrollment]:
    photos = [("image", content(image)) for image in images]
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    path = f"{subject_path(gallery, subject)}/faces"
    return Call("POST", path, _reader(results.Enrollment), photos=photos, fields=fields, headers=headers)


def calibration(model: str) -> Call[Any]:
    return Call("GET", f"/models/{quote(model, safe='')}/calibration", lambda document: document)


def verify_subject(gallery: str, subject: str, image: Photo, fields: Fields) -> Call[results.Verification]:
    path = f"{subject_path(gallery, subject)}/verify"
    return Call("POST", path, _reader(results.Verification), photos=[("image", content(image))], fields=fields)


def galleries() -> Call[list[results.Gallery]]:
    return Call("GET", "/galleries", lambda value: read(results.Galleries, value).galleries)


def gallery(name: str) -> Call[results.Gallery]:
    return Call("GET", _gallery_path(name), _reader(results.Gallery))


def create_gallery(name: str) -> Call[results.Gallery]:
    return Call("PUT", _gallery_path(name), _reader(results.Gallery))


def delete_gallery(name: str) -> Call[bool]:
    return Call("DELETE", _gallery_path(name), _is_erased)


def subjects(name: str, limit: int | None, cursor: str | None) -> Call[results.SubjectPage]:
    query = {"limit": limit, "cursor": cursor}
    return Call("GET", f"{_gallery_path(name)}/subjects", _reader(results.SubjectPage), query=query)


def subject(name: str, subject_id: str) -> Call[results.Subject]:
    return Call("GET", subject_path(name, subject_id), _reader(results.Subject))


def put_subject(
    name: str, subject_id: str, metadata: Mapping[str, Any] | None, consent: str | None, expires_at: datetime | None
) -> Call[results.Subject]:
    expiry = expires_at.isoformat() if expires_at else None
    return describe(name, subject_id, {"metadata": metadata, "consent": consent, "expires_at": expiry})


def describe(name: str, subject_id: str, fields: Fields) -> Call[results.Subject]:
    """Return the call of `put_subject` with fields as the API takes them."""
    return Call("PUT", subject_path(name, subject_id), _reader(results.Subject), json=_given(fields))


def delete_subject(name: str, subject_id: str) -> Call[bool]:
    return Call("DELETE", subject_path(name, subject_id), _is_erased)


def faces(name: str, subject_id: str) -> Call[list[results.EnrolledFace]]:
    path = f"{subject_path(name, subject_id)}/faces"
    return Call("GET", path, lambda value: read(results.EnrolledFaces, value).faces)


def delete_face(name: str, subject_id: str, face_id: str) -> Call[bool]:
    return Call("DELETE", f"{subject_path(name, subject_id)}/faces/{quote(face_id, safe='')}", _is_erased)


def content(photo: Photo) -> bytes:
    """Return the bytes of a photo. Raises OSError if its file cannot be read."""
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, str | PathLike):
        return Path(photo).read_bytes()
    return photo.read()


def subject_path(gallery_id: str, subject_id: str) -> str:
    return f"{_gallery_path(gallery_id)}/subjects/{quote(subject_id, safe='')}"


def _gallery_path(name: str) -> str:
    return f"/galleries/{quote(name, safe='')}"


def _reader(kind: type[T]) -> Callable[[Any], T]:
    return lambda value: read(kind, value)


def _is_erased(answer: Any) -> bool:
    """Return whether nothing is left on the disk: not yet while another reader of the database is open (202)."""
    return answer is None


def _given(fields: Fields) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
