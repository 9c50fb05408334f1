"""
Read a multipart form into memory by python-multipart's parser.

Starlette's form adds a temporary file, and awaits for each piece of a part, which took longer than the parsing itself.
The service keeps photos in memory anyway, and BodyLimit bounds the whole body.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.domain.errors import InvalidRequest, TooManyFields

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

Part: TypeAlias = tuple[str, str | bytes]
"""The name of a part, and the bytes of a file or the text of a field."""
MAX_FIELD_BYTES = 1024 * 1024


async def read_form(content_type: str, body: AsyncIterator[bytes], *, max_files: int, max_fields: int) -> list[Part]:
    """Return the parts in their order. Raises InvalidRequest, or TooManyFields at the first part beyond a limit."""
    options = parse_options_header(content_type)[1]
    if b"boundary" not in options:
        raise _unreadable("expected a boundary in Content-Type, got none")
    form = _Form(_charset(options), max_files, max_fields)
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())
        async for chunk in body:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise _unreadable("expected parts between boundaries, got something else") from error
    return form.parts


class _Form:
    """Collects what the parser reports: names and values of headers and the data of parts, each perhaps in pieces."""

    def __init__(self, charset: str, max_files: int, max_fields: int) -> None:
        self._charset, self._most = charset, {"files": max_files, "fields": max_fields}
        self._left = {**self._most}
        self._header, self._value, self._disposition = b"", b"", b""
        self._name, self._is_file, self._pieces, self._size = "", False, list[bytes](), 0
        self.parts: list[Part] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._read_header,
            "on_header_value": self._read_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._read_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition, self._pieces, self._size = b"", [], 0

    def _read_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise _unreadable("expected a name in each Content-Disposition, got none")
        self._name, self._is_file = self._decode(options[b"name"]), b"filename" in options
        kind = "files" if self._is_file else "fields"
        self._left[kind] -= 1
        if self._left[kind] < 0:
            raise TooManyFields(f"expected at most {self._most[kind]} {kind} in the multipart body, got more")

    def _read_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])
        self._size += end - start
        if self._size > MAX_FIELD_BYTES and not self._is_file:
            raise _unreadable(f"expected fields of at most {MAX_FIELD_BYTES} bytes, got more")

    def _end(self) -> None:
        data = b"".join(self._pieces)
        self.parts.append((self._name, data if self._is_file else self._decode(data)))
        self._pieces = []

    def _decode(self, text: bytes) -> str:
        try:
            return text.decode(self._charset)
        except (LookupError, ValueError):  # a codec of bytes, such as hex, or one that fails in its own way
            return text.decode("latin-1")


def _charset(options: dict[bytes, bytes]) -> str:
    try:
        return codecs.lookup(options.get(b"charset", b"utf-8").decode("latin-1")).name
    except (LookupError, ValueError):  # a name with a zero in it
        return "latin-1"


def _unreadable(reason: str) -> InvalidRequest:
    return InvalidRequest(f"cannot read the multipart body: {reason}")
