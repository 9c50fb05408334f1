"""
Images and fields out of a request: multipart parts, or JSON with base64 strings, under the same names.

Parts stay in memory (starlette would spool larger ones to disk): no photo ever touches the file system.
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
    """What a request brought: its images in order, and its other fields, not yet validated."""

    uploads: Sequence[Upload]
    fields: Mapping[str, Any]

    def parse(self, kind: type[F]) -> F:
        """The fields as `kind`; InvalidRequest names each that is wrong."""
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            raise invalid_request(error) from error


class _InMemoryParser(MultiPartParser):
    spool_max_size = 1 << 62


async def read_submission(request: Request, names: Sequence[str], most: int, max_image_bytes: int) -> Submission:
    """
    Every image of the fields `names` (each at least once, at most `most` times) and the other fields of body and query.

    Raises InvalidRequest, ImageTooLarge, or starlette's HTTPException where the body itself is too long.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        parts = await _json_parts(request, names, several=most > 1)
    elif kind == MULTIPART:
        parts = await _form_parts(request)
    else:
        raise InvalidRequest(f"want a body of {MULTIPART} or {JSON}, got {kind or 'none'}")
    uploads = _uploads([part for part in parts if part[0] in names], names, most)
    for upload in uploads:
        _check_size(upload, max_image_bytes)
    given = [part for part in parts if part[0] not in names]
    return Submission(uploads, _single([*given, *request.query_params.multi_items()]))


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


async def _json_parts(request: Request, names: Sequence[str], *, several: bool) -> list[tuple[str, Any]]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"cannot read the JSON body: {error}") from error
    if not isinstance(body, dict):
        raise InvalidRequest(f"want a JSON object, got {type(body).__name__}")
    parts: list[tuple[str, Any]] = []
    for name, value in body.items():
        values = value if several and name in names and isinstance(value, list) else [value]
        parts += [(name, _from_base64(name, each) if name in names else each) for each in values]
    return parts


def _from_base64(name: str, text: Any) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest(f"{name}: want a base64 string", [(name, "want a base64 string")])
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{name}: not base64: {error}", [(name, "not base64")]) from error


def _uploads(parts: Sequence[tuple[str, Any]], names: Sequence[str], most: int) -> list[Upload]:
    """In the order of `names`; every name at least once."""
    found = []
    for name in names:
        values = [value for each, value in parts if each == name]
        if not values:
            raise InvalidRequest(f"{name}: missing", [(name, "missing")])
        if len(values) > most:
            raise InvalidRequest(f"{name}: want at most {most}, got {len(values)}", [(name, f"want at most {most}")])
        if any(isinstance(value, str) for value in values):
            raise InvalidRequest(f"{name}: want a file part", [(name, "want a file part, with a filename")])
        found += [Upload(name, value) for value in values]
    return found


def _check_size(upload: Upload, max_bytes: int) -> None:
    if len(upload.data) > max_bytes:
        error = ImageTooLarge(f"want at most {max_bytes} bytes, got {len(upload.data)}")
        error.image = upload.name
        raise error


def _single(parts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Each field once, or more than once with the same value."""
    fields: dict[str, Any] = {}
    for name, value in parts:
        if isinstance(value, bytes):
            raise InvalidRequest(f"{name}: unknown image field", [(name, "unknown image field")])
        if name in fields and fields[name] != value:
            raise InvalidRequest(f"{name}: given twice, with different values", [(name, "given twice")])
        fields[name] = value
    return fields
