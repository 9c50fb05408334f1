"""Answer every error with its problem document."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.access.rate_limiter import whole_seconds
from app.api.field_faults import fault
from app.api.problems import MAX_ERRORS, MEDIA_TYPE, ProblemContext, problem, problem_of, request_id_of
from app.domain import errors
from app.observability.route_names import route_name_of

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1
CLIENT_CLOSED_REQUEST = 499
_LOGGED = {errors.LikenessError.code, errors.StorageFull.code, errors.StorageUnavailable.code}


def install(app: FastAPI) -> None:
    app.exception_handler(errors.LikenessError)(_on_likeness_error)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(ClientDisconnect)(_on_disconnect)
    app.exception_handler(Exception)(_on_unexpected_error)


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
