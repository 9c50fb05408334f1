"""
Turn every error into an RFC 9457 problem document. The only place that maps errors to HTTP statuses.

Commands print the same documents, and start sooner because nothing here imports FastAPI.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from app.domain import errors

if TYPE_CHECKING:
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
"""Fields that one problem document lists."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    status: HTTPStatus
    title: str


PROBLEM_TYPES: dict[str, ProblemType] = {
    errors.FaceNotFound.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "No face found"),
    errors.MultipleFaces.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "More than one face"),
    errors.LowQuality.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Face quality too low to enrol"),
    errors.SpoofSuspected.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Face does not look live"),
    errors.InvalidImage.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Not a valid image"),
    errors.UnsupportedImage.code: ProblemType(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported image format"),
    errors.ImageTooLarge.code: ProblemType(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too many bytes or pixels"),
    errors.InvalidRequest.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid, missing or contradictory field"),
    errors.InvalidCursor.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Not a cursor of this service"),
    errors.TooManyFields.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Too many fields"),
    errors.MetadataTooLarge.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Too many bytes of metadata"),
    errors.UnsupportedOperatingPoint.code: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY, "Error rate too low for the calibration"
    ),
    errors.NotFound.code: ProblemType(HTTPStatus.NOT_FOUND, "Not found"),
    errors.SubjectExists.code: ProblemType(HTTPStatus.CONFLICT, "A subject has this id"),
    errors.ModelMismatch.code: ProblemType(HTTPStatus.CONFLICT, "The gallery belongs to another model"),
    errors.DuplicateFace.code: ProblemType(HTTPStatus.CONFLICT, "The face is that of another subject"),
    errors.Unauthorized.code: ProblemType(HTTPStatus.UNAUTHORIZED, "Missing or invalid API key"),
    errors.Forbidden.code: ProblemType(HTTPStatus.FORBIDDEN, "Not allowed"),
    errors.RateLimited.code: ProblemType(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "upload_timeout": ProblemType(HTTPStatus.REQUEST_TIMEOUT, "Request body too slow"),
    "method_not_allowed": ProblemType(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
    errors.Overloaded.code: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Overloaded or shutting down"),
    errors.DeadlineExceeded.code: ProblemType(HTTPStatus.GATEWAY_TIMEOUT, "Deadline exceeded"),
    errors.StorageUnavailable.code: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Storage unavailable"),
    errors.StorageFull.code: ProblemType(HTTPStatus.INSUFFICIENT_STORAGE, "Storage full"),
    errors.LikenessError.code: ProblemType(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
}

TITLES_OF_FORBIDDEN = {
    errors.MissingScope: "The key lacks the scope",
    errors.OtherGalleries: "The key is for other galleries",
    errors.CrossSiteRequest: "Sent by a page of another site",
}


def request_id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


@dataclass(frozen=True, slots=True)
class ProblemContext:
    """The path and the id of a request, for its problem document."""

    instance: str
    request_id: str

    @classmethod
    def of(cls, request: Request) -> ProblemContext:
        return cls(request.url.path, request_id_of(request))


def problem(context: ProblemContext, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """Return a problem document; extension members that are None are left out."""
    kind = PROBLEM_TYPES[code]
    document = {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": int(kind.status),
        "detail": detail,
        "instance": context.instance,
        "code": code,
        "request_id": context.request_id,
    }
    return document | {name: value for name, value in more.items() if value is not None}


def problem_of(context: ProblemContext, error: errors.LikenessError) -> dict[str, Any]:
    """Return the problem document of `error`; internal errors do not reveal their cause."""
    if isinstance(error, errors.AllRejected):
        return _all_rejected(context, error)
    if error.code == errors.LikenessError.code:
        return problem(context, error.code, "the service failed; its log has the cause under the request id")
    return problem(context, error.code, str(error), image=error.image, **_extensions(error))


def _all_rejected(context: ProblemContext, error: errors.AllRejected) -> dict[str, Any]:
    """
    Return the problem that all images share, or else `invalid_request`, with the problem of each under `rejected`.
    """
    rejected = [{"index": each.index, "problem": problem_of(context, each.error)} for each in error.rejected]
    codes = {each.error.code for each in error.rejected}
    if len(codes) == 1:
        return problem_of(context, error.rejected[0].error) | {"rejected": rejected}
    return problem(context, errors.InvalidRequest.code, "no image could be enrolled", rejected=rejected)


def _extensions(error: errors.LikenessError) -> dict[str, Any]:
    if isinstance(error, errors.InvalidRequest) and error.errors:
        return {"errors": [{"field": field, "detail": detail} for field, detail in error.errors]}
    if isinstance(error, errors.Forbidden):
        return {"title": TITLES_OF_FORBIDDEN.get(type(error))}
    if isinstance(error, errors.LowQuality):
        return {"reasons": list(error.reasons)}
    if isinstance(error, errors.DuplicateFace):
        names = ("index", "subject_id", "distance")
        return {"duplicates": [dict(zip(names, each, strict=True)) for each in error.subjects]}
    if isinstance(error, errors.MultipleFaces):
        boxes = [[face.box.left, face.box.top, face.box.right, face.box.bottom] for face in error.faces]
        return {"boxes": boxes, "faces_found": len(boxes)}
    return {}
