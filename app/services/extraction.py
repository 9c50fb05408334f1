"""Bytes to probes: the pipeline that every route shares, and training/evaluate.py measures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.concurrency.worker_pool import Reservation, WorkerPool, raise_if_cancelled
from app.domain.errors import FaceNotFound, InputError, LikenessError, MultipleFaces
from app.domain.models import AlignedCrop, Embedding, Face, Pixels, Probe, Quality
from app.domain.ports import Aligner, Detector, NoObserver, Observer
from app.faces.quality import assess
from app.faces.selection import FaceRule, choose
from app.images.decode import ImageLimits, decode
from app.inference.micro_batcher import MicroBatcher
from app.services.timing import StageTimer

FACES_A_TURN = 32
"""Faces that one request has in the line for the network: the photo of a crowd must not fill it."""
Wanted: TypeAlias = FaceRule | Literal["all"]


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """An image as it came in, and the name of the field it came in."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """A face of a photo, cut out and judged, not yet embedded."""

    face: Face
    crop: AlignedCrop
    quality: Quality


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """What was taken of a photo of `width` x `height` pixels, of the `faces_found` in it."""

    views: Sequence[AlignedFace]
    faces_found: int
    width: int
    height: int


class FaceReader:
    """Bytes to aligned faces: where all are wanted, the largest `most`. Blocking and thread-safe."""

    def __init__(self, detector: Detector, aligner: Aligner, limits: ImageLimits, most: int = 500) -> None:
        self._detector, self._aligner, self._limits, self._most = detector, aligner, limits, most

    def read(self, data: bytes, wanted: Wanted, timer: StageTimer) -> PhotoFaces:
        """Raises InvalidImage and its like; FaceNotFound or MultipleFaces unless all faces are wanted."""
        with timer.stage("decode"):
            image = decode(data, self._limits)
        raise_if_cancelled()
        with timer.stage("detect"):
            faces = self._detector.detect(image)
        taken = faces[: self._most] if wanted == "all" else [choose(faces, wanted, image.shape[:2])]
        with timer.stage("align"):
            views = [self._view(image, face) for face in taken]
        return PhotoFaces(views, len(faces), width=image.shape[1], height=image.shape[0])

    def _view(self, image: Pixels, face: Face) -> AlignedFace:
        raise_if_cancelled()
        crop = self._aligner.align(image, face)
        return AlignedFace(face, crop, assess(face, crop))


class Extraction:
    """The async front of a FaceReader and an embedder: blocking work on workers, embeddings in joint batches."""

    def __init__(
        self,
        reader: FaceReader,
        workers: WorkerPool,
        embedder: MicroBatcher[AlignedCrop, Embedding],
        observer: Observer | None = None,
    ) -> None:
        self._reader, self._workers, self._embedder = reader, workers, embedder
        self._observer = observer or NoObserver()

    def require_room(self, photos: int) -> None:
        """Raises Overloaded where so many would be refused now; for those who would have to read them first."""
        self._workers.require_room(min(photos, self._workers.room))

    async def sight(
        self, upload: Upload, wanted: Wanted, timer: StageTimer, places: Reservation | None = None
    ) -> PhotoFaces:
        with naming(upload.name), self._telling():
            sight = await self._workers.run(
                lambda: self._reader.read(upload.data, wanted, timer),
                waited=lambda seconds: timer.add("queue", seconds),
                places=places,
            )
        self._observer.photo(sight.faces_found)
        return sight

    async def probes(self, sights: Sequence[PhotoFaces], timer: StageTimer) -> list[Probe]:
        """A probe for every view of every sight, in order; many are embedded in turns, so that others have theirs."""
        views = [(view, sight.faces_found) for sight in sights for view in sight.views]
        embeddings: list[Embedding] = []
        with timer.stage("embed"):
            while turn := views[len(embeddings) : len(embeddings) + FACES_A_TURN]:
                embeddings += await asyncio.gather(*(self._embedder.submit(view.crop) for view, _ in turn))
        return [
            Probe(view.face, view.quality, embedding, found)
            for (view, found), embedding in zip(views, embeddings, strict=True)
        ]

    async def probe(self, upload: Upload, rule: FaceRule, timer: StageTimer) -> Probe:
        """The one face that `rule` names."""
        return (await self.probes([await self.sight(upload, rule, timer)], timer))[0]

    async def all_sights(
        self, uploads: Sequence[Upload], wanted: Wanted, timer: StageTimer
    ) -> list[PhotoFaces | LikenessError]:
        """
        A sight for every upload, in order, or the error that it met.

        Raises Overloaded where there is no room for all of them now; of more than there ever is room for, those beyond
        it meet that error.
        """
        with self._workers.places(min(len(uploads), self._workers.room)) as places:
            outcomes = await asyncio.gather(
                *(self.sight(upload, wanted, timer, places) for upload in uploads), return_exceptions=True
            )
        return [_expected(outcome) for outcome in outcomes]

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            if isinstance(error, FaceNotFound | MultipleFaces):
                self._observer.photo(len(error.faces) if isinstance(error, MultipleFaces) else 0)
            self._observer.rejected(error.code)
            raise


@contextmanager
def naming(image: str) -> Iterator[None]:
    """An error met inside says which image it was about."""
    try:
        yield
    except LikenessError as error:
        error.image = image
        raise


def _expected(outcome: PhotoFaces | BaseException) -> PhotoFaces | LikenessError:
    if isinstance(outcome, PhotoFaces | LikenessError):
        return outcome
    raise outcome
