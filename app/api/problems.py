"""Turn every error into an RFC 9457 problem document. The only place that maps errors to HTTP statuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.access.rate_limiter import whole_seconds
from app.api.field_faults import fault
from app.domain import errors
from app.observability.route_names import route_name_of

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
_LOGGED = {errors.LikenessError.code, errors.StorageFull.code, errors.StorageUnavailable.code}
CLIENT_CLOSED_REQUEST = 499
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


def install(app: FastAPI) -> None:
    app.exception_handler(errors.LikenessError)(_on_likeness_error)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(ClientDisconnect)(_on_disconnect)
    app.exception_handler(Exception)(_on_unexpected_error)


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


def error_response(request: Request, error: errors.LikenessError) -> JSONResponse:
    """Return the response to a request that failed with `error`; middleware uses it too."""
    document = problem_of(ProblemContext.of(request), error)
    if document["code"] in _LOGGED:
        log.error("request %s failed", request_id_of(request), exc_info=error)
    return _respond(request, document, _headers_of(error))


async def _on_likeness_error(request: Request, error: errors.LikenessError) -> JSONResponse:
    return error_response(request, error)


async def _on_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = [
        {"field": ".".join(map(str, each["loc"][1:])) or "body", "detail": fault(each)}
        for each in error.errors()[:MAX_ERRORS]
    ]
    detail = "; ".join(f"{each['field']}: {each['detail']}" for each in fields)
    return _respond(request, problem(ProblemContext.of(request), errors.InvalidRequest.code, detail, errors=fields))


async def _on_http_error(request: Request, error: HTTPException) -> JSONResponse:
    """Answer what the framework refuses: unknown routes and methods, and bodies that cannot be parsed."""
    codes = {
        404: errors.NotFound.code,
        405: "method_not_allowed",
        408: "upload_timeout",
        413: errors.ImageTooLarge.code,
    }
    code = codes.get(error.status_code, errors.InvalidRequest.code)
    detail = f"no route {request.url.path}" if error.status_code == 404 else str(error.detail)
    headers = _allow_header(request) if error.status_code == 405 else None
    return _respond(request, problem(ProblemContext.of(request), code, detail), headers or error.headers)


async def _on_disconnect(_request: Request, _error: ClientDisconnect) -> Response:
    """Return a status for the log and the metrics; the client no longer receives it."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _on_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """Answer outside of all middleware, which could not set the header. Starlette logs the traceback afterwards."""
    log.error("request %s failed: %s", request_id_of(request), type(error).__name__)
    document = problem_of(ProblemContext.of(request), errors.LikenessError())
    return _respond(request, document, {"X-Request-ID": document["request_id"]})


def _respond(request: Request, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    request.state.problem = document["code"]  # for the metrics
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)


def _allow_header(request: Request) -> dict[str, str] | None:
    """Return the methods of all routes of the path; the framework lists only those of the first."""
    operations = request.app.openapi()["paths"].get(route_name_of(request.scope), {})
    methods = {method.upper() for method in operations} | ({"HEAD"} if "get" in operations else set())
    return {"Allow": ", ".join(sorted(methods))} if methods else None


def _headers_of(error: errors.LikenessError) -> dict[str, str]:
    match error:
        case errors.Overloaded():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case errors.RateLimited():
            return {"Retry-After": whole_seconds(error.seconds)}
        case errors.Unauthorized():
            return {"WWW-Authenticate": 'Bearer realm="likeness"'}
    return {}


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
