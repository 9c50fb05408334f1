"""The worst false matches and misses among all pairs, as one picture: often they say more than a rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from app.domain.nouns import Floats, Pixels
from app.faces.alignment import LandmarkAligner
from app.matching.distance import distances_between
from training.pipeline.detection_cache import Sights, read_photo

EACH, ACROSS = 12, 4  # pairs of a kind, pairs a row
TITLES = "Strangers that are nearest", "People that are furthest from themselves"


def draw(vectors: Floats, sights: Sights, person_of: NDArray[np.int64], path: Path) -> None:
    """A PNG; `vectors` (N, D) and `person_of` (N,) are of the photos with a face."""
    rows = EACH // ACROSS
    figure = Figure(figsize=(3.2 * ACROSS, 4.2 * rows + 1), layout="constrained")
    parts: list[SubFigure] = list(figure.subfigures(2, 1, squeeze=False)[:, 0])
    for part, title, pairs in zip(parts, TITLES, worst(vectors, person_of, EACH), strict=True):
        part.suptitle(title)
        cells = np.ravel(part.subplots(rows, ACROSS))
        for axes, pair in zip(cells, pairs, strict=False):
            _draw(axes, pair, sights)
        for axes in cells:
            axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def worst(
    vectors: Floats, person_of: NDArray[np.int64], count: int
) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
    """The nearest pairs of strangers and the furthest of one person: row, column, distance; worst first."""
    rows, columns = np.triu_indices(len(vectors), 1)
    distances = distances_between(vectors, vectors)[rows, columns]
    same = person_of[rows] == person_of[columns]

    def first(order: NDArray[np.float32], kind: NDArray[np.bool_]) -> list[tuple[int, int, float]]:
        pairs = np.flatnonzero(kind)
        ranked = pairs[np.argsort(order[pairs], kind="stable")[:count]]
        return [(int(rows[each]), int(columns[each]), float(distances[each])) for each in ranked]

    return first(distances, ~same), first(-distances, same)


def _draw(axes: Axes, pair: tuple[int, int, float], sights: Sights) -> None:
    seen = np.flatnonzero(sights.found)
    first, second = (int(seen[side]) for side in pair[:2])
    axes.imshow(np.hstack([_crop(sights, first), _crop(sights, second)]))
    axes.set_title(f"{pair[2]:.2f}\n{sights.paths[first].stem}\n{sights.paths[second].stem}", fontsize=6)


def _crop(sights: Sights, number: int) -> Pixels:
    face = sights.faces[number]
    assert face is not None  # noqa: S101 - those without are left out above
    return LandmarkAligner().align(read_photo(sights.paths[number]), face).pixels
