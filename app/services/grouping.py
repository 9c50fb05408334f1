"""Group photos by person, without any enrolment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from app.concurrency.worker_pool import WorkerPool
from app.domain.embeddings import Embedding
from app.domain.errors import LikenessError, Rejected, ServiceError
from app.faces.selection import FaceRule
from app.matching.clustering import cluster_faces
from app.matching.threshold_policy import Decision, ThresholdPolicy
from app.pipeline import PhotoFaces
from app.services.extraction import Extraction, Upload
from app.services.timing import StageTimer

T = TypeVar("T")
_AT_ONCE = 16
"""Photos of one request in the queue at a time, so that hundreds of them leave room for others."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The indexes of the photos of each person, largest group first, and the photos without a usable face."""

    groups: Sequence[Sequence[int]]
    rejected: Sequence[Rejected]
    decision: Decision


class Grouping:
    def __init__(self, extraction: Extraction, policy: ThresholdPolicy, workers: WorkerPool) -> None:
        self._extraction, self._policy, self._workers = extraction, policy, workers

    async def group(
        self,
        uploads: Sequence[Upload],
        rule: FaceRule,
        *,
        fmr: float | None,
        threshold: float | None,
        timer: StageTimer,
    ) -> Groups:
        """
        Group photos by the face that `rule` selects in each.

        Raises UnsupportedOperatingPoint, or the ServiceError of a photo, without which the groups would differ.
        """
        decision = self._policy.for_verification(fmr=fmr, threshold=threshold)
        embeddings: dict[int, Embedding] = {}
        rejected: list[Rejected] = []
        for start in range(0, len(uploads), _AT_ONCE):
            photos = await self._extraction.read_all(uploads[start : start + _AT_ONCE], rule, timer)
            usable = [photo for photo in photos if isinstance(photo, PhotoFaces)]
            probes = iter(await self._extraction.embed(usable, timer))
            for index, photo in enumerate(photos, start):
                if isinstance(photo, ServiceError):
                    raise photo
                if isinstance(photo, LikenessError):
                    rejected.append(Rejected(index, photo))
                else:
                    embeddings[index] = next(probes).embedding
        labels = await self._workers.run(lambda: person_labels(list(embeddings.values()), decision))
        return Groups(members_of(labels, list(embeddings)), rejected, decision)


def person_labels(embeddings: Sequence[Embedding], decision: Decision) -> list[int]:
    """Return the group of each face; a plain threshold is compared with the distances alone."""
    if not embeddings:
        return []
    offsets = [0.0 if decision.is_plain else embedding.threshold_offset for embedding in embeddings]
    vectors = np.stack([embedding.vector for embedding in embeddings])
    labels: list[int] = cluster_faces(vectors, decision.point.threshold, np.array(offsets, np.float32)).tolist()
    return labels


def members_of(labels: Sequence[int], items: Sequence[T]) -> list[list[T]]:
    """Return the items of each label, in order of the labels."""
    groups: list[list[T]] = [[] for _ in range(max(labels, default=-1) + 1)]
    for item, label in zip(items, labels, strict=True):
        groups[label].append(item)
    return groups
