"""
Read images and fields from a request: multipart parts, or JSON with base64 strings, under the same names.

Photos stay in memory and never reach the file system.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.api.field_faults import MISSING_IMAGE, TWICE, fault, shown
from app.api.image_fields import ImageField
from app.api.json_body import MAX_FIELDS, BodyLimits, parse_json, read_chunks
from app.api.multipart import read_form
from app.api.problems import MAX_ERRORS
from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import ImageTooLarge, InvalidRequest, TooManyFields
from app.faces.liveness import LivenessMode
from app.faces.orientation import Orientation
from app.services.extraction import Upload

F = TypeVar("F", bound=BaseModel)
MULTIPART, JSON = "multipart/form-data", "application/json"
MAX_FILES = 2 * MAX_FIELDS
MAX_NAME = 100
_PIECE = 2**20  # a multiple of the four characters that make three bytes
_WHITE_SPACE = b" \t\n\r\v\f"
_STANDARD = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Submission:
    """The images of a request in order, and its other fields before validation."""

    uploads: Sequence[Upload]
    fields: Mapping[str, Any]

    def photos(self, orientation: Orientation, liveness: LivenessMode = "off") -> list[Upload]:
        """Return the images, to be turned upright in that way and judged in that one."""
        return [replace(upload, orientation=orientation, liveness=liveness) for upload in self.uploads]

    def parse(self, kind: type[F]) -> F:
        """Return the fields as `kind`. Raises InvalidRequest, which lists each invalid field."""
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            raise _invalid_request(error, kind) from error


async def read_submission(
    request: Request, images: Sequence[ImageField], limits: BodyLimits, workers: WorkerPool
) -> Submission:
    """
    Return the images of the fields, in their order, and the other fields of body and query.

    JSON is parsed by `workers`. Raises InvalidRequest, TooManyFields, ImageTooLarge, or Starlette's HTTPException if
    the whole body is too large.
    """
    kind, most = media_type_of(request), sum(field.most for field in images)
    parts: Sequence[tuple[str, Any]]
    if kind == JSON:
        body = await read_chunks(request, limits.json_of_images(most))
        parts = await workers.run(lambda: _json_parts(body, images, limits))
    elif kind == MULTIPART:
        content_type = request.headers["content-type"]
        parts = await read_form(
            content_type, request.stream(), max_files=max(MAX_FILES, most + 1), max_fields=MAX_FIELDS
        )
    elif kind or _has_body(request):
        raise InvalidRequest(f"expected a body of type {MULTIPART} or {JSON}, got {kind or 'none'}")
    else:
        parts = []
    uploads = [upload for field in images for upload in _uploads(parts, field)]
    for upload in uploads:
        _check_size(upload.name, len(upload.data), limits.max_image_bytes)
    others = [part for part in parts if part[0] not in {field.name for field in images}]
    return Submission(uploads, unique_fields([*others, *request.query_params.multi_items()]))


async def read_fields(request: Request, kind: type[F], limits: BodyLimits, workers: WorkerPool) -> F | None:
    """Return a JSON body as `kind`; None if there is none. Raises as `read_submission`, and MetadataTooLarge."""
    body = await read_chunks(request, limits.json_of_metadata())
    if not body:
        return None
    if (given := media_type_of(request)) != JSON:
        raise InvalidRequest(f"expected a body of type {JSON}, got {given or 'none'}")
    document = await workers.run(lambda: parse_json(body))
    if document is None:
        return None
    return Submission([], unique_fields([*_object(document).items()])).parse(kind)


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _invalid_request(error: ValidationError, kind: type[BaseModel]) -> InvalidRequest:
    known = [field.alias or name for name, field in kind.model_fields.items()]
    faults = error.errors(include_url=False)[:MAX_ERRORS]
    problems = [(".".join(map(str, each["loc"])) or "request", fault(each, known)) for each in faults]
    return InvalidRequest("; ".join(f"{field}: {detail}" for field, detail in problems), problems)


def _refused(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {detail}", [(field, detail)])


def _json_parts(body: Sequence[bytes], images: Sequence[ImageField], limits: BodyLimits) -> list[tuple[str, Any]]:
    by_name = {field.name: field for field in images}
    parts: list[tuple[str, Any]] = []
    for name, value in _object(parse_json(body)).items():
        field = by_name.get(name)
        if field is None:
            parts.append((name, value))
        elif value is not None or not field.embeddings:
            values = value if field.most > 1 and isinstance(value, list) else [value]
            parts += [(name, _from_base64(name, each, limits)) for each in values]
    return parts


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise _refused("body", f"expected a JSON object, got {shown(document)}")
    if len(document) > MAX_FIELDS:
        raise TooManyFields(f"expected at most {MAX_FIELDS} fields, got {len(document)}")
    return document


def _from_base64(name: str, text: Any, limits: BodyLimits) -> bytes:
    if not isinstance(text, str):
        raise _refused(name, f"expected a base64 string, got {shown(text)}")
    encoded = text.partition(",")[2] if text[:5].lower() == "data:" else text
    _check_size(name, len(encoded) * 3 // 4 * 64 // 68, limits.max_image_bytes)
    try:
        return _decode(encoded.encode("ascii").translate(_STANDARD, _WHITE_SPACE))
    except UnicodeEncodeError:
        raise _refused(name, "expected base64, got characters beyond ASCII") from None
    except (binascii.Error, ValueError) as error:
        raise _refused(name, f"expected base64, got something else: {error}") from error


def _decode(encoded: bytes) -> bytes:
    """Decode in pieces, since each call holds the interpreter's lock; padding may be missing. Raises ValueError."""
    if 0 <= encoded.find(b"=") < len(encoded) - 2:
        raise ValueError("padding before the end")
    if b"=" not in encoded[-2:]:
        encoded += b"=" * (-len(encoded) % 4)
    pieces = (encoded[start : start + _PIECE] for start in range(0, len(encoded), _PIECE))
    return b"".join([base64.b64decode(piece, validate=True) for piece in pieces])


def _uploads(parts: Sequence[tuple[str, Any]], field: ImageField) -> list[Upload]:
    """Raises InvalidRequest if neither an image nor a vector is given, or the field's error for too many."""
    name, values = field.name, [value for name, value in parts if name == field.name]
    if not values:
        if any(other in field.embeddings and value is not None for other, value in parts):
            return []
        raise _refused(name, MISSING_IMAGE)
    if len(values) > field.most:
        detail = f"expected at most {field.most}, got {len(values)}"
        raise field.too_many(f"{name}: {detail}", [(name, detail)])
    if any(isinstance(value, str) for value in values):
        raise _refused(name, "expected a file part with a filename, got a text field")
    return [Upload(name, value) for value in values]


def _check_size(name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        error = ImageTooLarge(f"expected at most {max_bytes} bytes, got {size}")
        error.image = name
        raise error


def unique_fields(parts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields by name; a field may be repeated with the same value."""
    fields: dict[str, Any] = {}
    if len(parts) > MAX_FIELDS:
        raise TooManyFields(f"expected at most {MAX_FIELDS} fields, got {len(parts)}")
    for name, value in parts:
        if len(name) > MAX_NAME:  # which the answer would repeat
            raise InvalidRequest(f"expected names of fields of at most {MAX_NAME} characters, got {len(name)}")
        if isinstance(value, bytes):
            raise _refused(name, "expected no file in a field of this name, got one")
        if name in fields and fields[name] != value:
            raise _refused(name, TWICE)
        fields[name] = value
    return fields
