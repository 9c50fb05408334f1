"""Turn uploads into probes: the asynchronous front of the face pipeline and the embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from app.concurrency.worker_pool import Reservation, WorkerPool
from app.domain.embeddings import Embedding, Probe
from app.domain.errors import FaceNotFound, InputError, InvalidRequest, LikenessError, MultipleFaces, SpoofSuspected
from app.domain.faces import AlignedCrop
from app.domain.ports import NoObserver, Observer
from app.faces.liveness import LivenessMode
from app.faces.orientation import Orientation
from app.faces.selection import FaceRule, OneFace
from app.images.jpeg import encode_jpeg
from app.inference.micro_batcher import MicroBatcher
from app.pipeline import FacePipeline, FaceSelection, PhotoFaces
from app.services.timing import StageTimer

MAX_QUEUED_FACES = 32
"""Faces that one request may have in the embedder's queue at a time, so that a photo of a crowd does not fill it."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """
    An encoded image, the name of the request field that carried it, and what is to be done with it.

    `orientation` says how its upright side is found, `liveness` whether its faces are reported or required to be live.
    """

    name: str
    data: bytes
    orientation: Orientation = "auto"
    liveness: LivenessMode = "off"


FaceInput: TypeAlias = Upload | Embedding
"""A photo, or the vector of a face that is given in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPhoto:
    """The selected faces of a photo in which `faces_found` were detected."""

    probes: Sequence[Probe]
    faces_found: int


class Extraction:
    """Runs the pipeline on worker threads and embeds faces in batches that are shared between requests."""

    def __init__(
        self,
        pipeline: FacePipeline,
        workers: WorkerPool,
        embedder: MicroBatcher[AlignedCrop, Embedding],
        observer: Observer | None = None,
    ) -> None:
        self._pipeline, self._workers, self._embedder = pipeline, workers, embedder
        self._observer = observer or NoObserver()

    def require_capacity(self, photos: int) -> None:
        """Raises Overloaded if `photos` would be refused now; called before a request's body is read."""
        self._workers.require_capacity(min(photos, self._workers.capacity))

    async def read(
        self,
        upload: Upload,
        selection: FaceSelection,
        timer: StageTimer,
        reservation: Reservation | None = None,
        *,
        keep_crops: bool = False,
    ) -> PhotoFaces:
        """
        Return the aligned faces of one upload, with `keep_crops` also the crops to keep.

        Raises as FacePipeline.read, Overloaded or DeadlineExceeded, SpoofSuspected if a face has to be live and does
        not look so, and InvalidRequest if the service does not judge that.
        """
        self._require_liveness([upload])
        with naming_image(upload.name), self._observing_errors():
            photo = await self._workers.run(
                lambda: self._pipeline.read(
                    upload.data,
                    selection,
                    timer.stage,
                    upload.orientation,
                    liveness=upload.liveness != "off",
                    keep_crops=keep_crops,
                ),
                on_start=lambda seconds: timer.add("queue", seconds),
                reservation=reservation,
            )
            self._observer.on_photo(photo.faces_found)
            if upload.liveness == "require":
                _require_live(photo)
        return photo

    async def read_all(
        self, uploads: Sequence[Upload], selection: FaceSelection, timer: StageTimer, *, keep_crops: bool = False
    ) -> list[PhotoFaces | LikenessError]:
        """
        Return the faces of each upload, in order, or the error that it met.

        Raises Overloaded if there is no capacity for all of them now, and InvalidRequest if the service does not judge
        the liveness that is asked for. Uploads beyond the pool's whole capacity meet Overloaded one by one.
        """
        self._require_liveness(uploads)
        with self._workers.reserve(min(len(uploads), self._workers.capacity)) as reservation:
            outcomes = await asyncio.gather(
                *(self.read(upload, selection, timer, reservation, keep_crops=keep_crops) for upload in uploads),
                return_exceptions=True,
            )
        return [_photo_or_error(outcome) for outcome in outcomes]

    async def embed(self, photos: Sequence[PhotoFaces], timer: StageTimer) -> list[Probe]:
        """Return a probe for every face of every photo, in order; MAX_QUEUED_FACES are queued at a time."""
        faces = [(face, photo.faces_found) for photo in photos for face in photo.faces]
        embeddings: list[Embedding] = []
        with timer.stage("embed"):
            while batch := faces[len(embeddings) : len(embeddings) + MAX_QUEUED_FACES]:
                embeddings += await asyncio.gather(*(self._embedder.submit(face.crop) for face, _ in batch))
        return [
            Probe(face.face, face.quality, embedding, found, face.liveness, face.kept)
            for (face, found), embedding in zip(faces, embeddings, strict=True)
        ]

    async def read_and_embed(
        self, uploads: Sequence[Upload], selection: FaceSelection, timer: StageTimer
    ) -> list[EmbeddedPhoto | LikenessError]:
        """Return the probes of each upload, in order, or the error that it met. Raises as read_all and embed."""
        photos = await self.read_all(uploads, selection, timer)
        probes = iter(await self.embed([photo for photo in photos if isinstance(photo, PhotoFaces)], timer))
        return [
            photo
            if isinstance(photo, LikenessError)
            else EmbeddedPhoto([next(probes) for _ in photo.faces], photo.faces_found)
            for photo in photos
        ]

    async def thumbnails(self, photo: PhotoFaces) -> list[bytes]:
        """Return the aligned faces as JPEG."""
        return await self._workers.run(lambda: [encode_jpeg(face.crop.pixels) for face in photo.faces])

    async def probe(self, face: FaceInput, rule: OneFace, timer: StageTimer) -> Probe:
        """Return the probe of a vector, or of the one face of a photo that `rule` selects."""
        if isinstance(face, Embedding):
            return probe_of_vector(face)
        return (await self.embed([await self.read(face, rule, timer)], timer))[0]

    async def probes(self, faces: Sequence[FaceInput], rule: FaceRule, timer: StageTimer) -> list[Probe]:
        """Return the probe of each vector or photo, in order. If several photos have an error, raises the first."""
        photos = await self.read_all([face for face in faces if isinstance(face, Upload)], rule, timer)
        found = iter(await self.embed(_raise_first_error(photos), timer))
        return [probe_of_vector(face) if isinstance(face, Embedding) else next(found) for face in faces]

    def _require_liveness(self, uploads: Sequence[Upload]) -> None:
        if not self._pipeline.judges_liveness and any(upload.liveness != "off" for upload in uploads):
            detail = "expected off, since this service was started without LIKENESS_LIVENESS=on"
            raise InvalidRequest(f"liveness: {detail}", [("liveness", detail)])

    @contextmanager
    def _observing_errors(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            if isinstance(error, FaceNotFound | MultipleFaces):
                self._observer.on_photo(len(error.faces) if isinstance(error, MultipleFaces) else 0)
            self._observer.on_rejected(error.code)
            raise


def probe_of_vector(embedding: Embedding) -> Probe:
    return Probe(None, None, embedding, faces_found=1)


@contextmanager
def naming_image(image: str) -> Iterator[None]:
    """Add the name of the image to an error that is raised inside."""
    try:
        yield
    except LikenessError as error:
        error.image = image
        raise


def _require_live(photo: PhotoFaces) -> None:
    """Raises SpoofSuspected if a selected face does not look live."""
    suspects = [
        face.liveness.score if face.liveness else 0.0
        for face in photo.faces
        if face.liveness is None or not face.liveness.live
    ]
    if suspects:
        raise SpoofSuspected(f"expected a live face, got one that looks like a picture (score {min(suspects)})")


def _photo_or_error(outcome: PhotoFaces | BaseException) -> PhotoFaces | LikenessError:
    if isinstance(outcome, PhotoFaces | LikenessError):
        return outcome
    raise outcome


def _raise_first_error(outcomes: Sequence[PhotoFaces | LikenessError]) -> list[PhotoFaces]:
    """Return the photos if all are without error."""
    for outcome in outcomes:
        if isinstance(outcome, LikenessError):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, PhotoFaces)]
