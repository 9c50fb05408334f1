"""Lines of exported galleries: sent in batches, or made of what the API tells about each subject."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from app.client.call import Call
from app.client.calls import gallery_path
from app.client.problem import Problem
from app.client.reading import read
from app.client.records import ExportedFace, Gallery, ImportedLine, SubjectExport

T = TypeVar("T")
ExportLine: TypeAlias = "str | bytes | Mapping[str, Any]"
"""A line of an export as text, as bytes, or as the object that it holds."""
_BATCH_LINES, _BATCH_BYTES = 1000, 8 * 2**20
PAGE = 1000
"""Subjects in a page of the list that an export follows."""


class ImportBatches:
    """
    Gathers lines for requests of at most a thousand lines, or 8 MiB and one line, each behind the header.

    One request for all would be faster by little. But httpx reads no answer before it has sent everything, and the
    service stops reading while too many answers wait; and a request of a few lines can be sent again.
    """

    def __init__(self, gallery: str, after: int) -> None:
        """Lines up to number `after` are left out: an earlier import has answered them."""
        self._path, self._after = f"{gallery_path(gallery)}/import", after
        self._header = b""
        self._lines: list[bytes] = []
        self._bytes = self._number = 0

    def add(self, line: ExportLine) -> Call[Iterator[ImportedLine]] | None:
        """Take a line; return the call for those that were gathered, once they are enough."""
        self._number += 1
        if self._number == 1:
            self._header = _encoded(line)
        elif self._number > self._after:
            self._lines.append(_encoded(line))
            self._bytes += len(self._lines[-1])
        return self._take() if len(self._lines) >= _BATCH_LINES or self._bytes >= _BATCH_BYTES else None

    def rest(self) -> Call[Iterator[ImportedLine]] | None:
        """Return the call for the last lines, if there are any."""
        return self._take() if self._lines or self._number > self._after or not self._number else None

    def _take(self) -> Call[Iterator[ImportedLine]]:
        first = self._number - len(self._lines) + 1
        tells_header, self._after = self._after == 0, self._number
        body, self._lines, self._bytes = b"".join([self._header, *self._lines]), [], 0
        return Call("POST", self._path, lambda answers: _results(answers, first, tells_header), lines=body)


def _results(answers: Sequence[Any], first: int, tells_header: bool) -> Iterator[ImportedLine]:  # noqa: FBT001
    """Yield what became of the lines, numbered from `first` on. Raises Problem if the import ended early."""
    for answer in answers:
        if answer["line"] is None:
            raise Problem(200, answer["error"])
        result = read(ImportedLine, answer)
        if result.status != "header":
            yield replace(result, line=first + result.line - 2)
        elif tells_header:
            yield result


def _encoded(line: ExportLine) -> bytes:
    if isinstance(line, Mapping):
        line = json.dumps(line)
    return (line.encode() if isinstance(line, str) else line).rstrip(b"\r\n") + b"\n"


def header_of(gallery: Gallery) -> dict[str, Any]:
    return {"format": "likeness-gallery-1", "gallery": gallery.id, "model": gallery.model}


def line_of(subject: SubjectExport) -> dict[str, Any]:
    """Return the line of a subject as `likeness gallery export` writes it."""
    return {
        "subject_id": subject.subject_id,
        "metadata": subject.metadata,
        "consent": subject.consent,
        "expires_at": subject.expires_at,
        "faces": [_face(face) for face in subject.faces],
    }


def _face(face: ExportedFace) -> dict[str, Any]:
    vector = struct.pack(f"<{len(face.embedding)}f", *face.embedding)
    line = {
        "face_id": face.face_id,
        "vector": b64encode(vector).decode(),
        "threshold_offset": face.threshold_offset,
        "enrolled_at": face.enrolled_at,
    }
    if face.crop is not None:
        line["crop"] = b64encode(face.crop).decode()
    if (quality := face.quality) is None:  # it was enrolled as a vector
        return line
    parts = [quality.size, quality.sharpness, quality.frontality, quality.inside]
    place = {"box": face.box, "landmarks": face.landmarks, "confidence": face.confidence, "rotated": face.rotated}
    return {**line, **place, "quality": parts}


async def each(values: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value
