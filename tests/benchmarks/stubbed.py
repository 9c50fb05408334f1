"""
The service without the work on pixels: `python -m tests.benchmarks.stubbed`.

Photos are not decoded: each holds the same face, and each face has the same vector. What is left is the cost of HTTP,
threads and batches; `still_services` opens the services alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np

from app.bootstrap import services as bootstrap
from app.bootstrap.models import open_models as real_open_models
from app.domain.arrays import Pixels
from app.domain.embeddings import Embedding
from app.domain.faces import AlignedCrop, Box, Face, Landmarks, Quality
from app.faces.alignment import ARCFACE_112
from app.faces.orientation import Orientation
from app.main import create_app
from app.pipeline import AlignedFace, FaceSelection, PhotoFaces, Stage
from app.server.protocol import ConnectionLimits
from app.server.server import serve
from app.services.container import Models, Services
from app.settings import Settings

FACE = Face(Box(0, 0, 112, 112), Landmarks(np.array(ARCFACE_112, np.float32)), confidence=1.0)
CROP = AlignedCrop(np.zeros((112, 112, 3), np.uint8), inside=1.0)
PHOTO = PhotoFaces([AlignedFace(FACE, CROP, Quality(1.0, 1.0, 1.0, 1.0))], faces_found=1, width=112, height=112)


class StillDetector:
    def detect(self, image: Pixels) -> list[Face]:  # noqa: ARG002
        return [FACE]

    search = detect


class StillEmbedder:
    def __init__(self, model: str, dimension: int) -> None:
        self.model = model
        self._embedding = Embedding(np.eye(1, dimension, dtype=np.float32)[0], model)

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        return [self._embedding] * len(crops)


class StillPipeline:
    """A pipeline with the stages of FacePipeline, so that the cost of their timer is included."""

    judges_liveness = False

    def read(
        self,
        _data: bytes,
        _selection: FaceSelection,
        stage: Stage,
        _orientation: Orientation,
        *,
        liveness: bool,  # noqa: ARG002
        keep_crops: bool,  # noqa: ARG002
    ) -> PhotoFaces:
        for name in ("decode", "detect", "align"):
            with stage(name):
                pass
        return PHOTO


@contextmanager
def stubs() -> Iterator[None]:
    """Replace detector, embedder and pipeline wherever services are opened."""

    def open_models(settings: Settings) -> Models:
        models = real_open_models(settings)
        embedder = StillEmbedder(models.embedder.model, models.embedder_manifest.dimension)
        return replace(models, detector=StillDetector(), embedder=embedder)

    with (
        mock.patch.object(bootstrap, "open_models", open_models),
        mock.patch.object(bootstrap, "open_pipeline", return_value=StillPipeline()),
    ):
        yield


@asynccontextmanager
async def still_services(settings: Settings) -> AsyncIterator[Services]:
    with stubs():
        async with bootstrap.open_services(settings) as services:
            yield services


def main() -> None:
    settings = Settings()
    limits = ConnectionLimits(settings.max_connections, settings.max_header_bytes, settings.head_timeout)
    with stubs():
        serve(create_app(settings), host=settings.host, port=settings.port, limits=limits, trusted_proxies=None)


if __name__ == "__main__":
    main()
