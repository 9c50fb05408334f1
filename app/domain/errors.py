"""
Everything that can go wrong, as the caller sees it. `app/api/problems.py` holds the one table to HTTP.

* LikenessError
  + InputError                  the request is at fault
    - InvalidImage              bytes that are no image, or a broken one
    - UnsupportedImage          an image of a kind that is not accepted
    - ImageTooLarge             too many bytes or pixels
    - FaceNotFound
    - MultipleFaces             carries the faces
    - LowQuality                carries the reasons
    - InvalidRequest            a bad, missing or contradictory field
    - UnsupportedOperatingPoint finer than the calibration can support
    - NotFound                  no such gallery, subject or face
    - ModelMismatch             the gallery was filled by another model
    - AllRejected               no image could be enrolled; carries why, image by image
  + AccessError                 who asks is not known, or may not
    - Unauthorized              no key, or none that holds
    - Forbidden                 a key without the scope, or for other galleries
    - RateLimited               carries the seconds to wait
  + ServiceError                we are at fault, or busy
    - Overloaded                the queue is full, or the service is shutting down
    - DeadlineExceeded
    - InferenceFailed
    - StorageFull               the disk takes no more
  + StartError                  the service cannot start as it is configured
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.domain.models import Face


class LikenessError(Exception):
    code: ClassVar[str] = "internal_error"
    image: str | None = None
    """The field of the image that the error is about."""


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
        super().__init__(f"want one face, found {len(faces)}")
        self.faces = tuple(faces)


class LowQuality(InputError):
    code = "low_quality"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class InvalidRequest(InputError):
    """`errors` names each field and what is wrong with it: [("fmr", "want a number below 1, got 3")]."""

    code = "invalid_request"

    def __init__(self, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class UnsupportedOperatingPoint(InputError):
    code = "unsupported_operating_point"


class NotFound(InputError):
    code = "not_found"


class ModelMismatch(InputError):
    code = "model_mismatch"


@dataclass(frozen=True, slots=True, eq=False)
class Rejected:
    """An image of an enrolment, by its place in the request, and why it was not taken."""

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


class StartError(LikenessError):
    code = "internal_error"
