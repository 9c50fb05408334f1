"""The client for asyncio. Its methods are those of Client, which documents them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
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


class AsyncClient:
    """A connection to one service; an async context manager. Raises what Client raises, and retries as it does."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = TIMEOUT, retries: int = 4) -> None:
        self._retries = retries
        transport = RetryTransport(httpx.AsyncHTTPTransport())
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
        response = await self._http.request(**arguments_of(call, self._retries))
        return value_of(response)

    async def _result(self, call: Call[T]) -> T:
        return call.result(await self.send(call))

    async def verify(
        self, image1: FaceInput, image2: FaceInput, **options: Unpack[CompareOptions]
    ) -> results.Verification:
        return await self._result(calls.verify(image1, image2, options))

    async def compare(self, image: Photo, *others: Photo, **options: Unpack[CompareOptions]) -> results.OneToMany:
        return await self._result(calls.compare(image, others, options))

    async def identify(self, image: FaceInput, **options: Unpack[SearchOptions]) -> results.Identification:
        return await self._result(calls.identify(image, options))

    async def detect(self, image: Photo, **options: Unpack[DetectOptions]) -> results.Detection:
        return await self._result(calls.detect(image, options))

    async def embed(self, *images: Photo, **options: Unpack[EmbedOptions]) -> results.Embeddings:
        return await self._result(calls.embed(images, options))

    async def cluster(self, *images: Photo, **options: Unpack[ThresholdOptions]) -> results.Clustering:
        return await self._result(calls.cluster(images, options))

    async def enroll(
        self,
        gallery: str,
        subject_id: str,
        *images: FaceInput,
        idempotency_key: str | None = None,
        **options: Unpack[EnrollOptions],
    ) -> records.Enrollment:
        return await self._result(calls.enroll(gallery, subject_id, images, idempotency_key, options))

    async def verify_subject(
        self, gallery: str, subject_id: str, image: FaceInput, **options: Unpack[CompareOptions]
    ) -> results.Verification:
        return await self._result(calls.verify_subject(gallery, subject_id, image, options))

    async def galleries(self) -> Sequence[records.Gallery]:
        return await self._result(calls.galleries())

    async def gallery(self, gallery: str) -> records.Gallery:
        return await self._result(calls.gallery(gallery))

    async def create_gallery(self, gallery: str) -> records.Gallery:
        return await self._result(calls.create_gallery(gallery))

    async def delete_gallery(self, gallery: str) -> bool:
        return await self._result(calls.delete_gallery(gallery))

    async def subjects(self, gallery: str, *, page: int | None = None) -> AsyncIterator[records.Subject]:
        cursor: str | None = None
        while True:
            found = await self._result(calls.subjects(gallery, page, cursor))
            for each in found.subjects:
                yield each
            if (cursor := found.next_cursor) is None:
                return

    async def subject(self, gallery: str, subject_id: str) -> records.Subject:
        return await self._result(calls.subject(gallery, subject_id))

    async def put_subject(
        self,
        gallery: str,
        subject_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        consent: str | None = None,
        expires_at: datetime | None = None,
    ) -> records.Subject:
        return await self._result(calls.put_subject(gallery, subject_id, metadata, consent, expires_at))

    async def rename(self, gallery: str, subject_id: str, new_id: str) -> records.Subject:
        return await self._result(calls.rename(gallery, subject_id, new_id))

    async def merge(
        self, gallery: str, subject_id: str, other: str, *, faces: Sequence[str] | None = None
    ) -> records.Subject:
        return await self._result(calls.merge(gallery, subject_id, other, faces))

    async def export_subject(self, gallery: str, subject_id: str) -> records.SubjectExport:
        return await self._result(calls.export_subject(gallery, subject_id))

    async def delete_subject(self, gallery: str, subject_id: str) -> bool:
        return await self._result(calls.delete_subject(gallery, subject_id))

    async def faces(self, gallery: str, subject_id: str) -> Sequence[records.EnrolledFace]:
        return await self._result(calls.faces(gallery, subject_id))

    async def delete_face(self, gallery: str, subject_id: str, face_id: str) -> bool:
        return await self._result(calls.delete_face(gallery, subject_id, face_id))

    async def export_gallery(self, gallery: str, *, after: str | None = None) -> AsyncIterator[dict[str, Any]]:
        if after is None:
            yield moving.header_of(await self.gallery(gallery))
        async for subject in self.subjects(gallery, page=moving.PAGE):
            if after is not None and subject.subject_id <= after:
                continue
            try:
                export = await self.export_subject(gallery, subject.subject_id)
            except Problem as problem:
                if problem.code != "not_found":
                    raise
            else:
                yield moving.line_of(export)

    async def import_gallery(
        self, gallery: str, lines: Iterable[ExportLine] | AsyncIterable[ExportLine], *, after: int = 0
    ) -> AsyncIterator[records.ImportedLine]:
        batches = moving.ImportBatches(gallery, after)
        async for line in moving.each(lines):
            if call := batches.add(line):
                for result in await self._result(call):
                    yield result
        if call := batches.rest():
            for result in await self._result(call):
                yield result
