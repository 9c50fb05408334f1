"""
Read images and fields from a request: multipart parts, or JSON with base64 strings, under the same names.

Parts stay in memory, where Starlette would write larger ones to disk: photos never reach the file system.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.domain.errors import ImageTooLarge, InvalidRequest
from app.services.extraction import Upload

F = TypeVar("F", bound=BaseModel)
MULTIPART, JSON = "multipart/form-data", "application/json"


@dataclass(frozen=True, slots=True)
class Submission:
    """The images of a request in order, and its other fields before validation."""

    uploads: Sequence[Upload]
    fields: Mapping[str, Any]

    def parse(self, kind: type[F]) -> F:
        """Return the fields as `kind`. Raises InvalidRequest, which lists each invalid field."""
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            raise invalid_request(error) from error


class _InMemoryParser(MultiPartParser):
    spool_max_size = 1 << 62


async def read_submission(request: Request, names: Sequence[str], max_each: int, max_image_bytes: int) -> Submission:
    """
    Return the images of the fields `names`, each 1 to `max_each` times, and the other fields of body and query.

    Raises InvalidRequest, ImageTooLarge, or Starlette's HTTPException if the whole body is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        parts = await _json_parts(request, names, repeatable=max_each > 1)
    elif kind == MULTIPART:
        parts = await _form_parts(request)
    else:
        raise InvalidRequest(f"expected a body of type {MULTIPART} or {JSON}, got {kind or 'none'}")
    uploads = _uploads([part for part in parts if part[0] in names], names, max_each)
    for upload in uploads:
        _check_size(upload, max_image_bytes)
    others = [part for part in parts if part[0] not in names]
    return Submission(uploads, _unique_fields([*others, *request.query_params.multi_items()]))


def invalid_request(error: ValidationError) -> InvalidRequest:
    problems = [(".".join(map(str, each["loc"])) or "request", each["msg"]) for each in error.errors()]
    return InvalidRequest("; ".join(f"{field}: {detail}" for field, detail in problems), problems)


async def _form_parts(request: Request) -> list[tuple[str, Any]]:
    try:
        form = await _InMemoryParser(request.headers, request.stream(), max_files=128, max_fields=64).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise InvalidRequest(f"cannot read the multipart body: {getattr(error, 'message', error)}") from error
    parts = [
        (name, await value.read() if isinstance(value, UploadFile) else value) for name, value in form.multi_items()
    ]
    await form.close()
    return parts


async def _json_parts(request: Request, names: Sequence[str], *, repeatable: bool) -> list[tuple[str, Any]]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"cannot read the JSON body: {error}") from error
    if not isinstance(body, dict):
        raise InvalidRequest(f"expected a JSON object, got {type(body).__name__}")
    parts: list[tuple[str, Any]] = []
    for name, value in body.items():
        values = value if repeatable and name in names and isinstance(value, list) else [value]
        parts += [(name, _from_base64(name, each) if name in names else each) for each in values]
    return parts


def _from_base64(name: str, text: Any) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest(f"{name}: expected a base64 string", [(name, "expected a base64 string")])
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{name}: not base64: {error}", [(name, "not base64")]) from error


def _uploads(parts: Sequence[tuple[str, Any]], names: Sequence[str], max_each: int) -> list[Upload]:
    """Return the images in the order of `names`. Raises InvalidRequest if one is missing or given too often."""
    found = []
    for name in names:
        values = [value for each, value in parts if each == name]
        if not values:
            raise InvalidRequest(f"{name}: missing", [(name, "missing")])
        if len(values) > max_each:
            detail = f"expected at most {max_each}, got {len(values)}"
            raise InvalidRequest(f"{name}: {detail}", [(name, detail)])
        if any(isinstance(value, str) for value in values):
            raise InvalidRequest(f"{name}: expected a file part", [(name, "expected a file part with a filename")])
        found += [Upload(name, value) for value in values]
    return found


def _check_size(upload: Upload, max_bytes: int) -> None:
    if len(upload.data) > max_bytes:
        error = ImageTooLarge(f"expected at most {max_bytes} bytes, got {len(upload.data)}")
        error.image = upload.name
        raise error


def _unique_fields(parts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields by name; a field may be repeated with the same value."""
    fields: dict[str, Any] = {}
    for name, value in parts:
        if isinstance(value, bytes):
            raise InvalidRequest(f"{name}: unknown image field", [(name, "unknown image field")])
        if name in fields and fields[name] != value:
            raise InvalidRequest(
                f"{name}: given twice with different values", [(name, "given twice with different values")]
            )
        fields[name] = value
    return fields
