"""The client that waits for each answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx
from httpx_retries import RetryTransport

from app.client import calls, moving, records, results
from app.client.call import Call
from app.client.calls import (
    CompareOptions,
    DetectOptions,
    EmbedOptions,
    EnrollOptions,
    SearchOptions,
    ThresholdOptions,
)
from app.client.connection import TIMEOUT, arguments_of, headers, value_of
from app.client.faces import FaceInput, Photo
from app.client.moving import ExportLine
from app.client.problem import Problem

T = TypeVar("T")


class Client:
    """
    A connection to one service; a context manager. Thread-safe.

    Methods return results or raise Problem where the service refuses, httpx.HTTPError where it cannot be reached, and
    OSError where a photo cannot be read. Requests that were refused as too many (429) or for lack of capacity (503), or
    that got no answer, are sent again up to `retries` times, after the time that the service asks for.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = TIMEOUT, retries: int = 4) -> None:
        """`key` is an API key; `timeout` is in seconds."""
        self._retries = retries
        transport = RetryTransport(httpx.HTTPTransport())
        self._http = httpx.Client(base_url=url, headers=headers(key), timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[Any]) -> Any:
        """Send any call of `app.client.calls`; return the JSON of its answer, or None if it has no body."""
        response = self._http.request(**arguments_of(call, self._retries))
        return value_of(response)

    def _result(self, call: Call[T]) -> T:
        return call.result(self.send(call))

    def verify(self, image1: FaceInput, image2: FaceInput, **options: Unpack[CompareOptions]) -> results.Verification:
        """Compare two photos."""
        return self._result(calls.verify(image1, image2, options))

    def compare(self, image: Photo, *others: Photo, **options: Unpack[CompareOptions]) -> results.OneToMany:
        """Compare a photo with each of up to 32 others; one that cannot be used has an error and the others stand."""
        return self._result(calls.compare(image, others, options))

    def identify(self, image: FaceInput, **options: Unpack[SearchOptions]) -> results.Identification:
        """Search a gallery for the face of a photo."""
        return self._result(calls.identify(image, options))

    def detect(self, image: Photo, **options: Unpack[DetectOptions]) -> results.Detection:
        """Return every face of a photo."""
        return self._result(calls.detect(image, options))

    def embed(self, *images: Photo, **options: Unpack[EmbedOptions]) -> results.Embeddings:
        """Return the vectors of up to 32 photos; a photo that fails has an error and the others stand."""
        return self._result(calls.embed(images, options))

    def cluster(self, *images: Photo, **options: Unpack[ThresholdOptions]) -> results.Clustering:
        """Group up to 500 photos by person."""
        return self._result(calls.cluster(images, options))

    def enroll(
        self,
        gallery: str,
        subject_id: str,
        *images: FaceInput,
        idempotency_key: str | None = None,
        **options: Unpack[EnrollOptions],
    ) -> records.Enrollment:
        """Enrol photos of a subject. Without an `idempotency_key` one is made, so that a retry never enrols twice."""
        return self._result(calls.enroll(gallery, subject_id, images, idempotency_key, options))

    def verify_subject(
        self, gallery: str, subject_id: str, image: FaceInput, **options: Unpack[CompareOptions]
    ) -> results.Verification:
        """Compare a photo with the enrolled faces of a subject."""
        return self._result(calls.verify_subject(gallery, subject_id, image, options))

    def galleries(self) -> Sequence[records.Gallery]:
        return self._result(calls.galleries())

    def gallery(self, gallery: str) -> records.Gallery:
        return self._result(calls.gallery(gallery))

    def create_gallery(self, gallery: str) -> records.Gallery:
        """Create a gallery, or return the one that is there."""
        return self._result(calls.create_gallery(gallery))

    def delete_gallery(self, gallery: str) -> bool:
        """Erase a gallery with all its subjects; return False while traces are left on the disk."""
        return self._result(calls.delete_gallery(gallery))

    def subjects(self, gallery: str, *, page: int | None = None) -> Iterator[records.Subject]:
        """Yield every subject of a gallery, read in pages of `page` subjects."""
        cursor: str | None = None
        while True:
            found = self._result(calls.subjects(gallery, page, cursor))
            yield from found.subjects
            if (cursor := found.next_cursor) is None:
                return

    def subject(self, gallery: str, subject_id: str) -> records.Subject:
        return self._result(calls.subject(gallery, subject_id))

    def put_subject(
        self,
        gallery: str,
        subject_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        consent: str | None = None,
        expires_at: datetime | None = None,
    ) -> records.Subject:
        """Create a subject or change what is kept about it."""
        return self._result(calls.put_subject(gallery, subject_id, metadata, consent, expires_at))

    def rename(self, gallery: str, subject_id: str, new_id: str) -> records.Subject:
        """Give a subject another id. It keeps its faces."""
        return self._result(calls.rename(gallery, subject_id, new_id))

    def merge(
        self, gallery: str, subject_id: str, other: str, *, faces: Sequence[str] | None = None
    ) -> records.Subject:
        """Give a subject all faces of the other one, which is then deleted, or only those with the ids `faces`."""
        return self._result(calls.merge(gallery, subject_id, other, faces))

    def export_subject(self, gallery: str, subject_id: str) -> records.SubjectExport:
        """Return all that is stored about a subject, with its vectors."""
        return self._result(calls.export_subject(gallery, subject_id))

    def delete_subject(self, gallery: str, subject_id: str) -> bool:
        """Erase a subject; return False while traces are left on the disk."""
        return self._result(calls.delete_subject(gallery, subject_id))

    def faces(self, gallery: str, subject_id: str) -> Sequence[records.EnrolledFace]:
        """Return the enrolled faces of a subject."""
        return self._result(calls.faces(gallery, subject_id))

    def delete_face(self, gallery: str, subject_id: str, face_id: str) -> bool:
        """Erase one face; return False while traces are left on the disk."""
        return self._result(calls.delete_face(gallery, subject_id, face_id))

    def export_gallery(self, gallery: str, *, after: str | None = None) -> Iterator[dict[str, Any]]:
        """
        Yield the lines of an export: a header, then a line a subject, which `import_gallery` takes.

        Subjects come in the order of their ids. To go on after an exception, give the id of the last subject that was
        yielded as `after`: then the header and the subjects up to that one are left out.
        """
        if after is None:
            yield moving.header_of(self.gallery(gallery))
        for subject in self.subjects(gallery, page=moving.PAGE):
            if after is not None and subject.subject_id <= after:
                continue
            try:
                export = self.export_subject(gallery, subject.subject_id)
            except Problem as problem:
                if problem.code != "not_found":  # it was deleted in the meantime
                    raise
            else:
                yield moving.line_of(export)

    def import_gallery(
        self, gallery: str, lines: Iterable[ExportLine], *, after: int = 0
    ) -> Iterator[records.ImportedLine]:
        """
        Import the lines of an export, with its header first; yield what became of each line, refused ones too.

        Lines are read as answers are taken, up to a thousand ahead. What was answered is on the disk. Raises Problem if
        the service ends the import, for example on a full disk. After an exception, give the same lines again, with the
        number of the last line that was answered as `after`: lines that are there are answered with "exists".
        """
        batches = moving.ImportBatches(gallery, after)
        for line in lines:
            if call := batches.add(line):
                yield from self._result(call)
        if call := batches.rest():
            yield from self._result(call)
