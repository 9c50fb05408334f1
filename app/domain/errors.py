"""
All errors of the service. The table in `app/api/problems.py` maps each of them to an HTTP status.

* LikenessError
  + InputError                  the request is wrong
    - InvalidImage              the bytes are not an image, or a broken one
    - UnsupportedImage          the image has a format that is not accepted
    - ImageTooLarge             too many bytes or pixels
    - FaceNotFound
    - MultipleFaces             carries the faces
    - LowQuality                carries the reasons
    - SpoofSuspected            a face looks like a picture of one, where a live one is required
    - InvalidRequest            a bad, missing or contradictory field
      * TooManyFields
    - InvalidCursor
    - MetadataTooLarge          the metadata of a subject have too many bytes
    - UnsupportedOperatingPoint the requested error rate is finer than the calibration supports
    - NotFound                  no such gallery, subject, face or key
    - SubjectExists             a subject has the new id already
    - ModelMismatch             the gallery was filled by another model
    - DuplicateFace             the face to enrol is one of another subject
    - AllRejected               no image could be enrolled; carries the reason for each image
  + AccessError                 the caller is unknown or not allowed to do this
    - Unauthorized              the key is missing or not valid
    - Forbidden                 the caller is not allowed to do this
      * MissingScope            the key has not the scope
      * OtherGalleries          the key is for other galleries
      * CrossSiteRequest        without keys, a browser sent it for a page of another site
    - RateLimited               carries the seconds to wait
  + ServiceError                the service failed or is too busy
    - Overloaded                the queue is full, or the service is shutting down
    - DeadlineExceeded
    - InferenceFailed
    - StorageFull               the disk is full
    - StorageUnavailable        the database file was removed or replaced
      * SearchUnavailable       an index outside of this process cannot be used
  + StartError                  the service cannot start with its configuration
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.domain.faces import Face


class LikenessError(Exception):
    code: ClassVar[str] = "internal_error"
    image: str | None = None
    """The request field of the image that caused the error."""


class InputError(LikenessError):
    code = "invalid_request"


class InvalidImage(InputError):
    code = "invalid_image"


class UnsupportedImage(InputError):
    code = "unsupported_image"


class ImageTooLarge(InputError):
    code = "image_too_large"


class FaceNotFound(InputError):
    code = "face_not_found"


class MultipleFaces(InputError):
    code = "multiple_faces"

    def __init__(self, faces: Sequence[Face]) -> None:
        super().__init__(f"expected one face, got {len(faces)}")
        self.faces = tuple(faces)


class LowQuality(InputError):
    code = "low_quality"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class SpoofSuspected(InputError):
    code = "spoof_suspected"


class InvalidRequest(InputError):
    """`errors` lists each field and its fault: [("fmr", "expected a number below 1, got 3")]."""

    code = "invalid_request"

    def __init__(self, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class InvalidCursor(InputError):
    code = "invalid_cursor"


class TooManyFields(InvalidRequest):
    code = "too_many_fields"


class MetadataTooLarge(InputError):
    code = "metadata_too_large"


class UnsupportedOperatingPoint(InputError):
    code = "unsupported_operating_point"


class NotFound(InputError):
    code = "not_found"


class SubjectExists(InputError):
    code = "subject_exists"


class ModelMismatch(InputError):
    code = "model_mismatch"


class DuplicateFace(InputError):
    """`subjects` are those that the caller may be told: the index of the face, the id, and the rounded distance."""

    code = "duplicate_face"

    def __init__(self, subjects: Sequence[tuple[int, str, float]]) -> None:
        super().__init__("the face is enrolled for another subject; nothing was enrolled")
        self.subjects = tuple(subjects)


@dataclass(frozen=True, slots=True, eq=False)
class Rejected:
    """An image that was not enrolled: its index in the request, and the reason."""

    index: int
    error: LikenessError


class AllRejected(InputError):
    def __init__(self, rejected: Sequence[Rejected]) -> None:
        super().__init__(str(rejected[0].error))
        self.rejected = tuple(rejected)


class AccessError(LikenessError):
    code = "forbidden"


class Unauthorized(AccessError):
    code = "unauthorized"


class Forbidden(AccessError):
    code = "forbidden"


class MissingScope(Forbidden): ...


class OtherGalleries(Forbidden): ...


class CrossSiteRequest(Forbidden): ...


class RateLimited(AccessError):
    code = "rate_limited"

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds


class ServiceError(LikenessError):
    code = "internal_error"


class Overloaded(ServiceError):
    code = "overloaded"


class DeadlineExceeded(ServiceError):
    code = "deadline_exceeded"


class InferenceFailed(ServiceError):
    code = "internal_error"


class StorageFull(ServiceError):
    code = "storage_full"


class StorageUnavailable(ServiceError):
    code = "storage_unavailable"


class SearchUnavailable(StorageUnavailable): ...


class StartError(LikenessError):
    code = "internal_error"
