"""
`python -m tests.benchmarks.stubbed`: the service, all of it but the work on pixels.

A photo is not looked at: every one holds the same face, and every face has the same vector. What is left is what
HTTP costs, and the services' way through threads and batches; `still_services` opens those alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np

from app import wiring
from app.domain.nouns import AlignedCrop, Box, Embedding, Face, Landmarks, Pixels, Quality
from app.faces.alignment import ARCFACE_112
from app.main import create_app
from app.server.protocol import ConnectionLimits
from app.server.server import serve
from app.services.bundle import Models, Services
from app.services.extraction import Sight, View, Wanted
from app.services.timing import StageTimer
from app.settings import Settings

FACE = Face(Box(0, 0, 112, 112), Landmarks(np.array(ARCFACE_112, np.float32)), confidence=1.0)
CROP = AlignedCrop(np.zeros((112, 112, 3), np.uint8), inside=1.0)
SIGHT = Sight([View(FACE, CROP, Quality(1.0, 1.0, 1.0, 1.0))], faces_found=1, width=112, height=112)


class StillDetector:
    def detect(self, image: Pixels) -> list[Face]:  # noqa: ARG002
        return [FACE]


class StillEmbedder:
    def __init__(self, model: str, dimension: int) -> None:
        self.model = model
        self._embedding = Embedding(np.eye(1, dimension, dtype=np.float32)[0], model)

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        return [self._embedding] * len(crops)


class StillReader:
    """With the stages of a FaceReader, so that their timer costs what it costs."""

    def read(self, data: bytes, wanted: Wanted, timer: StageTimer) -> Sight:  # noqa: ARG002
        for stage in ("decode", "detect", "align"):
            with timer.stage(stage):
                pass
        return SIGHT


@contextmanager
def stubs() -> Iterator[None]:
    """In place of what reads photos and faces, wherever services are opened."""
    real = wiring.open_models

    def open_models(settings: Settings) -> Models:
        models = real(settings)
        embedder = StillEmbedder(models.embedder.model, models.embedder_manifest.dimension)
        return replace(models, detector=StillDetector(), embedder=embedder)

    with (
        mock.patch.object(wiring, "open_models", open_models),
        mock.patch.object(wiring, "open_reader", return_value=StillReader()),
    ):
        yield


@asynccontextmanager
async def still_services(settings: Settings) -> AsyncIterator[Services]:
    with stubs():
        async with wiring.open_services(settings) as services:
            yield services


def main() -> None:
    settings = Settings()
    limits = ConnectionLimits(settings.max_connections, settings.max_header_bytes, settings.head_timeout)
    with stubs():
        serve(create_app(settings), host=settings.host, port=settings.port, limits=limits, trusted_proxies=None)


if __name__ == "__main__":
    main()
