"""The one place where an error becomes an HTTP answer: RFC 9457 problem documents."""

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
from app.domain import errors
from app.observability.route_names import route_name_of

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
CLIENT_LEFT = 499


@dataclass(frozen=True, slots=True)
class ProblemType:
    status: HTTPStatus
    title: str


PROBLEM_TYPES: dict[str, ProblemType] = {
    errors.FaceNotFound.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "No face found"),
    errors.MultipleFaces.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "More than one face"),
    errors.LowQuality.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Face too poor to enrol"),
    errors.InvalidImage.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Not an image, or a broken one"),
    errors.UnsupportedImage.code: ProblemType(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Image of a kind not accepted"),
    errors.ImageTooLarge.code: ProblemType(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too many bytes or pixels"),
    errors.InvalidRequest.code: ProblemType(HTTPStatus.UNPROCESSABLE_ENTITY, "Bad, missing or contradictory field"),
    errors.UnsupportedOperatingPoint.code: ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY, "Error rate finer than the calibration supports"
    ),
    errors.NotFound.code: ProblemType(HTTPStatus.NOT_FOUND, "Not found"),
    errors.ModelMismatch.code: ProblemType(HTTPStatus.CONFLICT, "The gallery was filled by another model"),
    errors.Unauthorized.code: ProblemType(HTTPStatus.UNAUTHORIZED, "No key, or none that holds"),
    errors.Forbidden.code: ProblemType(HTTPStatus.FORBIDDEN, "The key is not for this"),
    errors.RateLimited.code: ProblemType(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "upload_timeout": ProblemType(HTTPStatus.REQUEST_TIMEOUT, "The body came too slowly"),
    "method_not_allowed": ProblemType(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
    errors.Overloaded.code: ProblemType(HTTPStatus.SERVICE_UNAVAILABLE, "Too busy, or shutting down"),
    errors.DeadlineExceeded.code: ProblemType(HTTPStatus.GATEWAY_TIMEOUT, "No answer in time"),
    errors.StorageFull.code: ProblemType(HTTPStatus.INSUFFICIENT_STORAGE, "The disk takes no more"),
    errors.LikenessError.code: ProblemType(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
}


def install(app: FastAPI) -> None:
    app.exception_handler(errors.LikenessError)(_domain)
    app.exception_handler(RequestValidationError)(_validation)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(ClientDisconnect)(_left)
    app.exception_handler(Exception)(_unexpected)


def request_id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


@dataclass(frozen=True, slots=True)
class ProblemContext:
    """What a problem document says of the request: its path and its id."""

    instance: str
    request_id: str

    @classmethod
    def of(cls, request: Request) -> ProblemContext:
        return cls(request.url.path, request_id_of(request))


def problem(origin: ProblemContext, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """The document of one problem; extension members that are None are left out."""
    kind = PROBLEM_TYPES[code]
    document = {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": int(kind.status),
        "detail": detail,
        "instance": origin.instance,
        "code": code,
        "request_id": origin.request_id,
    }
    return document | {name: value for name, value in more.items() if value is not None}


def problem_of(origin: ProblemContext, error: errors.LikenessError) -> dict[str, Any]:
    """As `problem`; of our own faults no internals are told."""
    if isinstance(error, errors.AllRejected):
        return _all_rejected(origin, error)
    if error.code == errors.LikenessError.code:
        return problem(origin, error.code, "the service failed; the request id finds the reason in its log")
    return problem(origin, error.code, str(error), image=error.image, **_extensions(error))


def answer(request: Request, error: errors.LikenessError) -> JSONResponse:
    """The answer to a request that met `error`; for whoever meets it before there is a route."""
    document = problem_of(ProblemContext.of(request), error)
    if document["code"] in (errors.LikenessError.code, errors.StorageFull.code):
        log.error("request %s failed", request_id_of(request), exc_info=error)
    return _respond(request, document, _headers_of(error))


async def _domain(request: Request, error: errors.LikenessError) -> JSONResponse:
    return answer(request, error)


async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = [
        {"field": ".".join(map(str, each["loc"][1:])) or "body", "detail": each["msg"]} for each in error.errors()
    ]
    detail = "; ".join(f"{each['field']}: {each['detail']}" for each in fields)
    return _respond(request, problem(ProblemContext.of(request), errors.InvalidRequest.code, detail, errors=fields))


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    """What the framework itself refuses: unknown routes, methods, and bodies it cannot parse."""
    codes = {
        404: errors.NotFound.code,
        405: "method_not_allowed",
        408: "upload_timeout",
        413: errors.ImageTooLarge.code,
    }
    code = codes.get(error.status_code, errors.InvalidRequest.code)
    detail = f"no route {request.url.path}" if error.status_code == 404 else str(error.detail)
    headers = _allowing(request) if error.status_code == 405 else None
    return _respond(request, problem(ProblemContext.of(request), code, detail), headers or error.headers)


async def _left(_request: Request, _error: ClientDisconnect) -> Response:
    """Nobody reads this; the metrics and the log tell it from what we failed at."""
    return Response(status_code=CLIENT_LEFT)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Starlette logs the traceback after this; it runs outside our middleware, so the header is set here."""
    log.error("request %s failed: %s", request_id_of(request), type(error).__name__)
    document = problem_of(ProblemContext.of(request), errors.LikenessError())
    return _respond(request, document, {"X-Request-ID": document["request_id"]})


def _respond(request: Request, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    request.state.problem = document["code"]  # for the metrics
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)


def _allowing(request: Request) -> dict[str, str] | None:
    """The methods of every route of this path; the framework names those of the first alone."""
    operations = request.app.openapi()["paths"].get(route_name_of(request.scope), {})
    return {"Allow": ", ".join(sorted(method.upper() for method in operations))} if operations else None


def _headers_of(error: errors.LikenessError) -> dict[str, str]:
    match error:
        case errors.Overloaded():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case errors.RateLimited():
            return {"Retry-After": whole_seconds(error.seconds)}
        case errors.Unauthorized():
            return {"WWW-Authenticate": 'Bearer realm="likeness"'}
    return {}


def _all_rejected(origin: ProblemContext, error: errors.AllRejected) -> dict[str, Any]:
    """The problem that all rejected images share, or `invalid_request` where they differ; each one's beside it."""
    rejected = [{"index": each.index, "problem": problem_of(origin, each.error)} for each in error.rejected]
    codes = {each.error.code for each in error.rejected}
    if len(codes) == 1:
        return problem_of(origin, error.rejected[0].error) | {"rejected": rejected}
    return problem(origin, errors.InvalidRequest.code, "no image could be enrolled", rejected=rejected)


def _extensions(error: errors.LikenessError) -> dict[str, Any]:
    if isinstance(error, errors.InvalidRequest) and error.errors:
        return {"errors": [{"field": field, "detail": detail} for field, detail in error.errors]}
    if isinstance(error, errors.LowQuality):
        return {"reasons": list(error.reasons)}
    if isinstance(error, errors.MultipleFaces):
        boxes = [[face.box.left, face.box.top, face.box.right, face.box.bottom] for face in error.faces]
        return {"boxes": boxes, "faces_found": len(boxes)}
    return {}
