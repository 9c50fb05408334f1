"""The answers to a deletion."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from app.api import responses

ERASED: dict[int | str, dict[str, Any]] = {
    204: {"description": "Erased: its rows and data key are overwritten"},
    202: {"model": responses.PendingErasure, "description": "Deleted; a reader still holds old pages on the disk"},
}


def erased(completely: bool) -> Response:  # noqa: FBT001
    if completely:
        return Response(status_code=204)
    return JSONResponse(responses.PendingErasure().model_dump(), status_code=202)
