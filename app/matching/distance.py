"""Squared Euclidean distance of unit vectors, the only measure of this service."""

from __future__ import annotations

import numpy as np

from app.domain.arrays import Floats
from app.domain.comparisons import Distance, FacePair
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch


def compare_embeddings(first: Embedding, second: Embedding) -> FacePair:
    """Raises ModelMismatch."""
    return FacePair(distance_between(first, second), first.threshold_offset + second.threshold_offset)


def distance_between(first: Embedding, second: Embedding) -> Distance:
    """Raises ModelMismatch if the vectors are of two models: their spaces have nothing in common."""
    if first.model != second.model:
        raise ModelMismatch(f"expected two embeddings of one model, got {first.model} and {second.model}")
    difference = first.vector.astype(np.float64) - second.vector
    return Distance(min(4.0, float(difference @ difference)))


def distances_between(first: Floats, second: Floats) -> Floats:
    """(N, D) and (M, D) unit vectors -> (N, M) squared L2, in [0, 4]."""
    distances: Floats = np.clip(2 - 2 * first @ second.T, 0, 4)
    return distances
