"""Measure on a gallery itself how much of the exact result an approximate search finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.domain.arrays import Floats
from app.domain.errors import InvalidRequest, Overloaded
from app.gallery.external_search import ExternalSearch
from app.gallery.face_index import GRAPH_ROWS, FaceIndex
from app.gallery.ranking import Hit, Query
from app.gallery.records import GalleryInfo
from app.gallery.repository import GalleryRepository

NEAREST = 10
_EVERYTHING = 4.0
_NOISE = 0.58  # moves a unit vector by a squared distance of about 0.27, as another photo of the person would


@dataclass(frozen=True, slots=True)
class Recall:
    """
    The shares of the nearest subject and of the ten nearest that are found.

    `in_graphs` is a share of the faces, or None where an index outside of this process was searched.
    """

    faces: int
    sample: int
    in_graphs: float | None
    nearest: float
    ten_nearest: float


def measure(
    repository: GalleryRepository,
    gallery_id: str,
    sample: int,
    *,
    graph_rows: int = GRAPH_ROWS,
    external: ExternalSearch | None = None,
) -> Recall:
    """Search for faces of the gallery, moved a little at random. Raises InvalidRequest if it has none."""
    gallery, changes = repository.changes_since(gallery_id, None)
    if not changes.added:
        raise InvalidRequest(f"expected a gallery with faces, got {gallery_id!r} without")
    index = FaceIndex(len(changes.added[0].vector))
    index.add(changes.added)
    del changes
    if external:
        return _measured(index, sample, partial(_search_outside, external, gallery), None)
    index.build_graphs(graph_rows)
    return _measured(index, sample, lambda query: index.search([query])[0], index.share_in_graphs())


def _search_outside(external: ExternalSearch, gallery: GalleryInfo, query: Query) -> list[Hit]:
    hits = external.hits(gallery, query)
    if hits is None:
        raise Overloaded(f"gallery {gallery.id!r} was changed while its recall was measured: measure again")
    return hits


def _measured(
    index: FaceIndex, sample: int, search: Callable[[Query], Sequence[Hit]], in_graphs: float | None
) -> Recall:
    random = np.random.default_rng(0)
    faces = index.sample(sample, random)
    first, ten = [], []
    for face in faces:
        query = Query(_moved(face.vector, random), NEAREST, _EVERYTHING, face.threshold_offset)
        exact, found = ([hit.face_id for hit in hits] for hits in (index.search([query], exact=True)[0], search(query)))
        first.append(found[:1] == exact[:1])
        ten.append(len(set(found) & set(exact)) / len(exact))
    return Recall(len(index), len(faces), in_graphs, float(np.mean(first)), float(np.mean(ten)))


def _moved(vector: Floats, random: np.random.Generator) -> Floats:
    noise = random.standard_normal(len(vector))
    moved = vector + _NOISE * noise / np.linalg.norm(noise)
    return np.asarray(moved / np.linalg.norm(moved), np.float32)
