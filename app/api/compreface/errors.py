"""Errors as CompreFace answers them, with the codes of its `CommonExceptionCode`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.compreface.fields import FILE, PREFIX, SOURCE, TARGET
from app.api.field_faults import MISSING, MISSING_IMAGE
from app.api.middleware.auth import given_keys, route_path
from app.api.problems import MEDIA_TYPE
from app.domain import errors

UNDEFINED = 0
IMAGES = {image.name for image in (FILE, SOURCE, TARGET)}
KEY_MISSING, KEY_UNKNOWN = (400, 20), (404, 10)
PART_MISSING, PARAMETER_MISSING, INVALID = (400, 34), (400, 33), (400, 26)
SUBJECT_NOT_FOUND, EXAMPLE_NOT_FOUND = (404, 42), (404, 44)
STATUS_AND_CODE = {
    errors.FaceNotFound.code: (400, 28),
    errors.MultipleFaces.code: (400, 31),
    errors.InvalidImage.code: (400, 21),
    errors.UnsupportedImage.code: (400, 21),
    errors.LowQuality.code: (400, UNDEFINED),
    errors.SubjectExists.code: (400, 43),
    errors.TooManyFields.code: INVALID,
    "method_not_allowed": (404, UNDEFINED),
}
"""Whatever is not here or below keeps its status, with the code UNDEFINED: CompreFace knows no such error."""


class CompreFaceErrors:
    """Gives problem documents the shape of CompreFace, on its paths alone, wherever they were made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not route_path(scope).startswith(f"{PREFIX}/") or scope["method"] == "HEAD":
            return await self._app(scope, receive, send)
        start: Message | None = None
        body = b""

        async def send_reshaped(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _reshaped(scope, start, body)(scope, receive, send)

        return await self._app(scope, receive, send_reshaped)


def status_and_code(problem: Mapping[str, Any], path: str, *, has_key: bool) -> tuple[int, int]:
    """Return the HTTP status and the code for a problem document of a request to `path`."""
    code = problem["code"]
    if code == errors.Unauthorized.code:
        return KEY_UNKNOWN if has_key else KEY_MISSING
    if code == errors.InvalidRequest.code:
        missing = {each["field"] for each in problem.get("errors", ()) if _says_missing(each["detail"])}
        return PART_MISSING if missing & IMAGES else PARAMETER_MISSING if missing else INVALID
    if code == errors.NotFound.code and "/recognition/subjects/" in path:
        return SUBJECT_NOT_FOUND
    if code == errors.NotFound.code and "/recognition/faces/" in path:
        return EXAMPLE_NOT_FOUND
    return STATUS_AND_CODE.get(code, (problem["status"], UNDEFINED))


def _says_missing(detail: str) -> bool:
    return detail in {MISSING, MISSING_IMAGE}


def _is_problem(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith(MEDIA_TYPE)


def _reshaped(scope: Scope, start: Message, body: bytes) -> JSONResponse:
    """Return the response with the headers that it had, such as Retry-After."""
    problem = json.loads(body)
    status, code = status_and_code(problem, route_path(scope), has_key=bool(given_keys(Headers(scope=scope))))
    response = JSONResponse({"message": problem["detail"], "code": code}, status)
    kept = MutableHeaders(raw=[*start["headers"]])
    for name in ("content-type", "content-length", "www-authenticate"):
        del kept[name]
    response.raw_headers += kept.raw
    return response
