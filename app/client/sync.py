"""The client that waits for each answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from app.client import calls, results
from app.client.calls import Call, CompareOptions, EmbedOptions, EnrollOptions, Orientation, Photo, SearchOptions
from app.client.connection import TIMEOUT, headers, retrying, value_of

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
        transport = retrying(httpx.HTTPTransport(), retries)
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
        response = self._http.request(call.method, call.path, **call.arguments)
        return value_of(response)

    def _result(self, call: Call[T]) -> T:
        return call.result(self.send(call))

    def verify(self, image1: Photo, image2: Photo, **options: Unpack[CompareOptions]) -> results.Verification:
        """Compare two photos."""
        return self._result(calls.verify(image1, image2, options))

    def identify(self, image: Photo, **options: Unpack[SearchOptions]) -> results.Identification:
        """Search a gallery for the face of a photo."""
        return self._result(calls.identify(image, options))

    def detect(self, image: Photo, *, orientation: Orientation | None = None) -> results.Detection:
        """Return every face of a photo."""
        return self._result(calls.detect(image, {"orientation": orientation}))

    def embed(self, *images: Photo, **options: Unpack[EmbedOptions]) -> results.Embeddings:
        """Return the vectors of up to 32 photos; a photo that fails has an error and the others stand."""
        return self._result(calls.embed(images, options))

    def enroll(
        self,
        gallery: str,
        subject_id: str,
        *images: Photo,
        idempotency_key: str | None = None,
        **options: Unpack[EnrollOptions],
    ) -> results.Enrollment:
        """Enrol photos of a subject. Without an `idempotency_key` one is made, so that a retry never enrols twice."""
        return self._result(calls.enroll(gallery, subject_id, images, idempotency_key, options))

    def verify_subject(
        self, gallery: str, subject_id: str, image: Photo, **options: Unpack[CompareOptions]
    ) -> results.Verification:
        """Compare a photo with the enrolled faces of a subject."""
        return self._result(calls.verify_subject(gallery, subject_id, image, options))

    def galleries(self) -> Sequence[results.Gallery]:
        return self._result(calls.galleries())

    def gallery(self, gallery: str) -> results.Gallery:
        return self._result(calls.gallery(gallery))

    def create_gallery(self, gallery: str) -> results.Gallery:
        """Create a gallery, or return the one that is there."""
        return self._result(calls.create_gallery(gallery))

    def delete_gallery(self, gallery: str) -> bool:
        """Erase a gallery with all its subjects; return False while traces are left on the disk."""
        return self._result(calls.delete_gallery(gallery))

    def subjects(self, gallery: str, *, page: int | None = None) -> Iterator[results.Subject]:
        """Yield every subject of a gallery, read in pages of `page` subjects."""
        cursor: str | None = None
        while True:
            found = self._result(calls.subjects(gallery, page, cursor))
            yield from found.subjects
            if (cursor := found.next_cursor) is None:
                return

    def subject(self, gallery: str, subject_id: str) -> results.Subject:
        return self._result(calls.subject(gallery, subject_id))

    def put_subject(
        self,
        gallery: str,
        subject_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        consent: str | None = None,
        expires_at: datetime | None = None,
    ) -> results.Subject:
        """Create a subject or change what is kept about it."""
        return self._result(calls.put_subject(gallery, subject_id, metadata, consent, expires_at))

    def delete_subject(self, gallery: str, subject_id: str) -> bool:
        """Erase a subject; return False while traces are left on the disk."""
        return self._result(calls.delete_subject(gallery, subject_id))

    def faces(self, gallery: str, subject_id: str) -> Sequence[results.EnrolledFace]:
        """Return the enrolled faces of a subject."""
        return self._result(calls.faces(gallery, subject_id))

    def delete_face(self, gallery: str, subject_id: str, face_id: str) -> bool:
        """Erase one face; return False while traces are left on the disk."""
        return self._result(calls.delete_face(gallery, subject_id, face_id))
