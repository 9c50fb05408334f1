"""Find faces in frames and name them: in this process, or by a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.api import responses
from app.api.presenters.recognition import Presenter
from app.cli.output import problem_context
from app.cli.video.tracking import Sighting
from app.client import AsyncClient, results
from app.domain.arrays import Pixels
from app.domain.faces import AlignedCrop, Box
from app.domain.identity import anonymous
from app.images.jpeg import encode_jpeg
from app.pipeline import FacePipeline
from app.services.container import Services
from app.services.timing import StageTimer

View = TypeVar("View")
MARGIN = 0.5
"""How much of the surroundings is sent to a service with a face, in sides of its box on each side."""


@dataclass(frozen=True, slots=True)
class Query:
    """The gallery to search, and the bound of a search: by default that of the settings."""

    gallery: str
    fpir: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """The nearest subject within its threshold, or None; then `threshold` is that of an average pair."""

    subject: str | None
    distance: float | None
    threshold: float
    fmr: float | None
    fpir: float | None


class Recognizer(Protocol[View]):
    async def find(self, frame: Pixels) -> Sequence[Sighting[View]]: ...

    async def name(self, view: View) -> Naming: ...


class LocalRecognizer:
    """Keeps the aligned crop of a face, which is all that the embedder needs."""

    def __init__(self, services: Services, pipeline: FacePipeline, query: Query, max_faces: int) -> None:
        self._services, self._pipeline, self._query, self._max_faces = services, pipeline, query, max_faces

    async def find(self, frame: Pixels) -> Sequence[Sighting[AlignedCrop]]:
        return await asyncio.to_thread(self._find, frame)

    def _find(self, frame: Pixels) -> Sequence[Sighting[AlignedCrop]]:
        faces = self._services.models.detector.detect(frame)[: self._max_faces]
        aligned = [self._pipeline.align(frame, face) for face in faces]
        return [Sighting(each.face.box, each.quality.overall, each.crop) for each in aligned]

    async def name(self, view: AlignedCrop) -> Naming:
        timer = StageTimer()
        (embedding,) = await asyncio.to_thread(self._services.models.embedder.embed, [view])
        result = await self._services.identification.identify(
            embedding,
            "largest",
            self._query.gallery,
            caller=anonymous("cli"),
            top_k=1,
            fpir=self._query.fpir,
            threshold=self._query.threshold,
            timer=timer,
        )
        return _naming(Presenter(problem_context(), self._services.models, timer).identification(result))


class RemoteRecognizer:
    """Sends each sampled frame to `/detect`, and one crop a track to `/identify`."""

    def __init__(self, client: AsyncClient, query: Query) -> None:
        self._client, self._query = client, query

    async def find(self, frame: Pixels) -> Sequence[Sighting[bytes]]:
        found = await self._client.detect(await asyncio.to_thread(encode_jpeg, frame), orientation="exif")
        boxes = [Box(*face.box) for face in found.faces]
        return [
            Sighting(box, face.quality.overall, _cut(frame, box)) for box, face in zip(boxes, found.faces, strict=True)
        ]

    async def name(self, view: bytes) -> Naming:
        answer = await self._client.identify(
            view,
            gallery=self._query.gallery,
            top_k=1,
            face="center",
            fpir=self._query.fpir,
            threshold=self._query.threshold,
            orientation="exif",
        )
        return _naming(answer)


def _naming(answer: responses.Identification | results.Identification) -> Naming:
    overall, candidates = answer.threshold, answer.faces[0].candidates
    if not candidates:
        return Naming(None, None, overall.distance, overall.fmr, overall.fpir)
    nearest = candidates[0]
    bound = nearest.threshold
    return Naming(nearest.subject_id, nearest.distance, bound.distance, bound.fmr, overall.fpir)


def _cut(frame: Pixels, box: Box) -> bytes:
    """Return the face with its surroundings as a JPEG."""
    height, width = frame.shape[:2]
    left, right = (round(box.left - MARGIN * box.width), round(box.right + MARGIN * box.width))
    top, bottom = (round(box.top - MARGIN * box.height), round(box.bottom + MARGIN * box.height))
    return encode_jpeg(frame[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)])
