"""
Label errors in a set of faces, found from vectors: photos of somebody else in a folder, and one person in two folders.

The faces of a person are linked where their score is within a threshold; those that no chain of links joins to the
larger half are outliers. A chain allows for poses and ages that only neighbours of them match. Two people are one if
the mean score between their faces is within a stricter threshold: it is compared for every pair of people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.pipeline.embeddings import Embeddings

_ROWS = 1024
"""People whose means are compared with all others at once."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A face that is not the person's, and its smallest score to a face that is."""

    face: int
    nearest: float


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two people who are one; `score` is the mean between their faces."""

    first: int
    second: int
    score: float


def outliers(embeddings: Embeddings, faces: Indices, threshold: float) -> list[Outlier] | None:
    """Return the outliers among the faces of a person; None if no half of them belongs together."""
    own = embeddings.select(faces)
    scores = own.scores(own)  # (F, F)
    part_of = connected_components(coo_array(scores <= threshold), directed=False)[1]
    sizes = np.bincount(part_of)
    if 2 * sizes.max() <= len(faces) and len(faces) > 1:
        return None
    inside = part_of == sizes.argmax()
    return [Outlier(int(faces[row]), float(scores[row, inside].min())) for row in np.flatnonzero(~inside)]


def duplicates(embeddings: Embeddings, faces_of: Sequence[Indices], threshold: float) -> list[Duplicate]:
    """
    Return the pairs of people whose mean score is within the threshold, the closest first.

    The mean of |a - b|^2 over all pairs of unit vectors is 2 - 2 <mean a, mean b>.
    """
    known = [person for person, faces in enumerate(faces_of) if len(faces)]
    if not known:
        return []
    means = np.array([embeddings.vectors[faces_of[person]].mean(0) for person in known])  # (P, D)
    offsets = np.array([embeddings.offsets[faces_of[person]].mean() for person in known])  # (P,)
    found = []
    for start in range(0, len(known), _ROWS):
        scores = 2 - 2 * means[start : start + _ROWS] @ means.T + offsets[start : start + _ROWS, None] + offsets
        rows, columns = np.nonzero(scores <= threshold)
        found += [
            Duplicate(known[start + row], known[column], float(scores[row, column]))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if start + row < column
        ]
    return sorted(found, key=lambda pair: (pair.score, pair.first, pair.second))


def groups(pairs: Sequence[Duplicate], people: int) -> list[list[int]]:
    """Return the people who are one, over several pairs too, in groups of two or more."""
    first, second = ([getattr(pair, side) for pair in pairs] for side in ("first", "second"))
    links = coo_array((np.ones(len(pairs), bool), (first, second)), shape=(people, people))
    group_of = connected_components(links, directed=False)[1]
    return [members.tolist() for group in np.unique(group_of) if len(members := np.flatnonzero(group_of == group)) > 1]
