"""Photos through the pipeline that is served (decode, MTCNN, selection, alignment), for training and measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.domain.errors import InputError
from app.domain.models import AlignedCrop, Floats, Pixels
from app.domain.ports import Aligner
from app.faces.alignment import ARCFACE_112, LandmarkAligner, open_aligner
from app.faces.detector.mtcnn import cascade_options, load_mtcnn
from app.faces.selection import choose
from app.images.decode import ImageLimits, decode
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import EmbedderManifest, read_checked, read_embedder
from app.inference.onnx_session import Session
from app.matching.calibration import Calibration, read_calibration
from training.data import CROP_SIZE, MARGIN

DETECTOR = "mtcnn"
BATCH = 32
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Crops:
    """Crops (N, size, size, 3) of the photos where a face was `found`, (photos,)."""

    pixels: NDArray[np.uint8]
    found: NDArray[np.bool_]
    inside: Floats


@dataclass(frozen=True)
class ServedModel:
    """An exported embedder, as the service would load it."""

    manifest: EmbedderManifest
    embedder: OnnxEmbedder
    calibration: Calibration | None

    @classmethod
    def open(cls, folder: Path) -> ServedModel:
        """Raises StartError, as the service would."""
        manifest = read_embedder(folder)
        session = Session(read_checked(folder, manifest.file), provider="auto")
        calibration = read_calibration(folder, manifest.file.digest)
        return cls(manifest, OnnxEmbedder(session, manifest), calibration)

    def embed(self, crops: NDArray[np.uint8], label: str) -> Floats:
        """(N, size, size, 3) -> (N, D)."""
        batches = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        vectors = [vector for batch in with_progress(label, self._embed, batches) for vector in batch]
        return np.array(vectors, np.float32).reshape(-1, self.manifest.dimension)

    def _embed(self, batch: NDArray[np.uint8]) -> list[Floats]:
        return [embedding.vector for embedding in self.embedder.embed([AlignedCrop(crop, 1.0) for crop in batch])]


class ServedReader:
    """
    Bytes to the one crop that the service would take: as the model of `manifest` wants it, (size, size, 3), or without
    one the 112 px crop of ArcFace's template with a margin round it, (144, 144, 3).
    """

    def __init__(
        self, models_dir: Path, manifest: EmbedderManifest | None = None, *, min_face: float | None = None
    ) -> None:
        self._detector = load_mtcnn(models_dir / DETECTOR, cascade_options(min_face))
        wide = tuple((x + MARGIN, y + MARGIN) for x, y in ARCFACE_112)
        self._size = manifest.crop_size if manifest else CROP_SIZE
        self._cut: Aligner = open_aligner(manifest) if manifest else LandmarkAligner(wide, CROP_SIZE)
        self._seen: Aligner = self._cut if manifest else LandmarkAligner()

    def read(self, path: Path) -> tuple[Pixels, float]:
        """
        The crop, and the share inside the photo of what a network sees of it.

        Raises InvalidImage and its like, or FaceNotFound.
        """
        image = decode(path.read_bytes(), ImageLimits())
        face = choose(self._detector.detect(image), "largest", image.shape[:2])
        return self._cut.align(image, face).pixels, self._seen.align(image, face).inside

    def read_all(self, paths: Sequence[Path], label: str) -> Crops:
        """Every photo, two at a time; photos without a usable face are not `found`."""
        views = with_progress(label, self._read_or_none, paths)
        seen = [view for view in views if view is not None]
        return Crops(
            pixels=np.array([pixels for pixels, _ in seen], np.uint8).reshape(-1, self._size, self._size, 3),
            found=np.array([view is not None for view in views], bool),
            inside=np.array([inside for _, inside in seen], np.float32),
        )

    def _read_or_none(self, path: Path) -> tuple[Pixels, float] | None:
        try:
            return self.read(path)
        except InputError:
            return None


def with_progress(label: str, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(2) as pool, progress_bar() as progress:
        return list(progress.track(pool.map(work, items), total=len(items), description=label))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    columns: Iterable[TextColumn | BarColumn | MofNCompleteColumn | TimeElapsedColumn | TimeRemainingColumn] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        yield progress
