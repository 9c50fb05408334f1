"""Search one probe among 100,000 faces: against a plain product in NumPy, and against FAISS alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import faiss
import numpy as np

from app.domain.arrays import Floats
from app.gallery.face_index import FaceIndex
from app.gallery.ranking import Query
from app.gallery.records import StoredVector
from tests.benchmarks.cores import one_core
from tests.benchmarks.measure import Contestant, Effort, race
from tests.benchmarks.report import Row, share_of, versus

FACES, SUBJECTS = 100_000, 5
DIMENSIONS = (128, 512)
EVERYTHING = 4.0  # the largest squared distance
NOTE = "one thread; ours scans bytes with FAISS and gives subjects, by their nearest face, within a threshold."


def rows(effort: Effort) -> Iterator[Row]:
    with one_core():
        for dimension in DIMENSIONS:
            yield from compared(gallery(FACES, dimension), effort)


def gallery(faces: int, dimension: int) -> Floats:
    """Random unit vectors (faces, dimension)."""
    vectors = np.random.default_rng(0).standard_normal((faces, dimension), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def compared(vectors: Floats, effort: Effort) -> Iterator[Row]:
    ours, flat = FaceIndex(vectors.shape[1]), faiss.IndexFlatIP(vectors.shape[1])
    ours.add([StoredVector(str(number), str(number), vector) for number, vector in enumerate(vectors)])
    flat.add(vectors)
    probe = vectors[len(vectors) // 2]
    contestants = {
        "ours": Contestant(partial(ours.search, [Query(probe, SUBJECTS, EVERYTHING)])),
        "NumPy": Contestant(partial(by_numpy, vectors, probe, SUBJECTS)),
        "FAISS Flat": Contestant(partial(flat.search, probe[None], SUBJECTS)),
    }
    laps = race(contestants, effort.pace)
    for peer in ("NumPy", "FAISS Flat"):
        case = f"{len(vectors):,} faces of {vectors.shape[1]} numbers, {peer}"
        yield versus("search", case, laps, peer, note=NOTE, **share_of(laps, peer))


def by_numpy(vectors: Floats, probe: Floats, count: int) -> list[int]:
    """Rows of the nearest, nearest first."""
    cosines = vectors @ probe  # (N,)
    nearest = np.argpartition(-cosines, count)[:count]
    return [int(row) for row in nearest[np.argsort(-cosines[nearest])]]
