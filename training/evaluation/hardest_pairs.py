"""A picture of the worst false matches and misses among all pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Pixels
from app.faces.alignment import LandmarkAligner
from training.pipeline.detection_cache import DetectedFaces, read_photo
from training.pipeline.embeddings import Embeddings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

PAIRS, COLUMNS = 12, 4  # pairs of each kind, pairs per row
TITLES = "Closest impostor pairs", "Farthest genuine pairs"


def draw(embeddings: Embeddings, detected: DetectedFaces, person_of: NDArray[np.int64], path: Path) -> None:
    """Draw a PNG; `embeddings` and `person_of` (N,) are of the photos with a face."""
    from matplotlib.figure import Figure  # imported late: it writes a list of fonts into the home folder

    rows = PAIRS // COLUMNS
    figure = Figure(figsize=(3.2 * COLUMNS, 4.2 * rows + 1), layout="constrained")
    parts: list[SubFigure] = list(figure.subfigures(2, 1, squeeze=False)[:, 0])
    for part, title, pairs in zip(parts, TITLES, hardest(embeddings, person_of, PAIRS), strict=True):
        part.suptitle(title)
        cells = np.ravel(part.subplots(rows, COLUMNS))
        for axes, pair in zip(cells, pairs, strict=False):
            _draw(axes, pair, detected)
        for axes in cells:
            axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def hardest(
    embeddings: Embeddings, person_of: NDArray[np.int64], count: int
) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
    """Return the closest impostor pairs and the farthest genuine ones: row, column, score; hardest first."""
    rows, columns = np.triu_indices(len(embeddings), 1)
    scores = embeddings.scores(embeddings)[rows, columns]
    same = person_of[rows] == person_of[columns]

    def first(order: NDArray[np.float32], kind: NDArray[np.bool_]) -> list[tuple[int, int, float]]:
        pairs = np.flatnonzero(kind)
        ranked = pairs[np.argsort(order[pairs], kind="stable")[:count]]
        return [(int(rows[each]), int(columns[each]), float(scores[each])) for each in ranked]

    return first(scores, ~same), first(-scores, same)


def _draw(axes: Axes, pair: tuple[int, int, float], detected: DetectedFaces) -> None:
    found = np.flatnonzero(detected.found)
    first, second = (int(found[side]) for side in pair[:2])
    axes.imshow(np.hstack([_crop(detected, first), _crop(detected, second)]))
    axes.set_title(f"{pair[2]:.2f}\n{detected.paths[first].stem}\n{detected.paths[second].stem}", fontsize=6)


def _crop(detected: DetectedFaces, number: int) -> Pixels:
    face = detected.faces[number]
    assert face is not None  # noqa: S101 - only photos with a face are drawn
    return LandmarkAligner().align(read_photo(detected.paths[number]), face).pixels
