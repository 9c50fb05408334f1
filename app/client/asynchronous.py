"""The client for asyncio. Its methods are those of Client, which documents them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from app.client import calls, results
from app.client.calls import Call, CompareOptions, EmbedOptions, EnrollOptions, Orientation, Photo, SearchOptions
from app.client.connection import TIMEOUT, headers, retrying, value_of

T = TypeVar("T")


class AsyncClient:
    """A connection to one service; an async context manager. Raises what Client raises, and retries as it does."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = TIMEOUT, retries: int = 4) -> None:
        transport = retrying(httpx.AsyncHTTPTransport(), retries)
        self._http = httpx.AsyncClient(base_url=url, headers=headers(key), timeout=timeout, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[Any]) -> Any:
        response = await self._http.request(call.method, call.path, **call.arguments)
        return value_of(response)

    async def _result(self, call: Call[T]) -> T:
        return call.result(await self.send(call))

    async def verify(self, image1: Photo, image2: Photo, **options: Unpack[CompareOptions]) -> results.Verification:
        return await self._result(calls.verify(image1, image2, options))

    async def identify(self, image: Photo, **options: Unpack[SearchOptions]) -> results.Identification:
        return await self._result(calls.identify(image, options))

    async def detect(self, image: Photo, *, orientation: Orientation | None = None) -> results.Detection:
        return await self._result(calls.detect(image, {"orientation": orientation}))

    async def embed(self, *images: Photo, **options: Unpack[EmbedOptions]) -> results.Embeddings:
        return await self._result(calls.embed(images, options))

    async def enroll(
        self,
        gallery: str,
        subject_id: str,
        *images: Photo,
        idempotency_key: str | None = None,
        **options: Unpack[EnrollOptions],
    ) -> results.Enrollment:
        return await self._result(calls.enroll(gallery, subject_id, images, idempotency_key, options))

    async def verify_subject(
        self, gallery: str, subject_id: str, image: Photo, **options: Unpack[CompareOptions]
    ) -> results.Verification:
        return await self._result(calls.verify_subject(gallery, subject_id, image, options))

    async def galleries(self) -> Sequence[results.Gallery]:
        return await self._result(calls.galleries())

    async def gallery(self, gallery: str) -> results.Gallery:
        return await self._result(calls.gallery(gallery))

    async def create_gallery(self, gallery: str) -> results.Gallery:
        return await self._result(calls.create_gallery(gallery))

    async def delete_gallery(self, gallery: str) -> bool:
        return await self._result(calls.delete_gallery(gallery))

    async def subjects(self, gallery: str, *, page: int | None = None) -> AsyncIterator[results.Subject]:
        cursor: str | None = None
        while True:
            found = await self._result(calls.subjects(gallery, page, cursor))
            for each in found.subjects:
                yield each
            if (cursor := found.next_cursor) is None:
                return

    async def subject(self, gallery: str, subject_id: str) -> results.Subject:
        return await self._result(calls.subject(gallery, subject_id))

    async def put_subject(
        self,
        gallery: str,
        subject_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        consent: str | None = None,
        expires_at: datetime | None = None,
    ) -> results.Subject:
        return await self._result(calls.put_subject(gallery, subject_id, metadata, consent, expires_at))

    async def delete_subject(self, gallery: str, subject_id: str) -> bool:
        return await self._result(calls.delete_subject(gallery, subject_id))

    async def faces(self, gallery: str, subject_id: str) -> Sequence[results.EnrolledFace]:
        return await self._result(calls.faces(gallery, subject_id))

    async def delete_face(self, gallery: str, subject_id: str, face_id: str) -> bool:
        return await self._result(calls.delete_face(gallery, subject_id, face_id))
