"""
Read JSON bodies: their size and their elements are counted while they arrive, and a thread parses them.

Elements are counted as separators and brackets, inside of strings too: that costs nanoseconds, needs no parser, and
counts too many rather than too few. What is refused here was never parsed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from starlette.datastructures import Headers

from app.domain.errors import ImageTooLarge, InputError, InvalidRequest, MetadataTooLarge, TooManyFields

MAX_FIELDS = 64
"""Fields of one request, in a form, in JSON and in the query."""

_ALLOWANCE = 64 * 1024
"""Bytes for everything in a JSON body beside its images or its metadata."""

_MAX_ELEMENTS = 20_000
"""Enough for 32 vectors of 512 numbers."""

_BYTES_PER_ESCAPE = 32
"""Base64 in lines of 64 characters has two escapes, of CR and LF, in 68 bytes."""


@dataclass(frozen=True, slots=True)
class JsonLimits:
    max_bytes: int
    max_elements: int
    max_escapes: int
    too_large: type[InputError]


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits of bodies, derived from two settings."""

    max_image_bytes: int
    max_metadata_bytes: int

    @property
    def max_encoded_image(self) -> int:
        """The length of the largest image in base64, in lines of 64 characters or longer."""
        return -(-self.max_image_bytes // 3) * 4 * 68 // 64

    def json_of_images(self, count: int) -> JsonLimits:
        max_bytes = count * self.max_encoded_image + _ALLOWANCE
        return JsonLimits(max_bytes, _MAX_ELEMENTS, max_bytes // _BYTES_PER_ESCAPE, ImageTooLarge)

    def json_of_metadata(self) -> JsonLimits:
        """A character may be written as an escape of six bytes; an element takes one byte or more."""
        max_bytes = 6 * self.max_metadata_bytes + _ALLOWANCE
        return JsonLimits(max_bytes, self.max_metadata_bytes + 2 * MAX_FIELDS, max_bytes, MetadataTooLarge)


def announced_length(headers: Headers) -> int:
    """Return the Content-Length, with which a body can be refused before it is sent; 0 if it is absent or no number."""
    given = headers.get("content-length", "")
    return int(given) if given.isdecimal() else 0


async def read_chunks(request: Request, limits: JsonLimits) -> list[bytes]:
    """
    Return the body. Raises TooManyFields, InvalidRequest or `limits.too_large` at the first chunk beyond a limit, or
    before the first one.
    """
    if (announced := announced_length(request.headers)) > limits.max_bytes:
        raise limits.too_large(f"expected a JSON body of at most {limits.max_bytes} bytes, got {announced}")
    return [chunk async for chunk in _checked(request.stream(), limits) if chunk]


def parse_json(chunks: Sequence[bytes]) -> Any:
    """Raises InvalidRequest if the body is not JSON, or is nested deeper than 200 levels. Call it on a thread."""
    try:
        return from_json(b"".join(chunks), cache_strings="none")  # the cache would keep parts of metadata in memory
    except ValueError as error:
        raise InvalidRequest(f"expected a JSON body, got one that cannot be read: {error}") from error


async def _checked(chunks: AsyncIterator[bytes], limits: JsonLimits) -> AsyncIterator[bytes]:
    size = separators = brackets = escapes = 0
    async for chunk in chunks:
        size += len(chunk)
        separators += chunk.count(b",") + chunk.count(b":")
        brackets += chunk.count(b"[") + chunk.count(b"{")
        escapes += chunk.count(b"\\")
        if separators > limits.max_elements:
            raise TooManyFields(f"expected at most {limits.max_elements} commas and colons in the JSON body, got more")
        if brackets > limits.max_elements:
            raise InvalidRequest(f"expected at most {limits.max_elements} lists and objects in the JSON body, got more")
        if size > limits.max_bytes:
            raise limits.too_large(f"expected a JSON body of at most {limits.max_bytes} bytes, got more")
        if escapes > limits.max_escapes:
            raise InvalidRequest(f"expected at most {limits.max_escapes} escapes in the JSON body, got more")
        yield chunk
