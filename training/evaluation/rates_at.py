"""TAR at FAR over all pairs of a benchmark, as papers state it, and whether the pairs support the FAR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.evaluation.bootstrap import finest_fmr

Distances: TypeAlias = NDArray[np.floating[Any]]


def tar_at(distances: Distances, same: NDArray[np.bool_], fars: Sequence[float]) -> list[dict[str, Any]]:
    """
    Return the largest TAR whose FAR is at most each of `fars`, of pairs with distances (N,).

    The threshold is the smallest impostor distance that is too many: pairs below it match.
    """
    genuine, impostors = np.sort(distances[same]), np.sort(distances[~same])
    finest = finest_fmr(len(impostors))
    return [_row(genuine, impostors, far) | {"supported": far >= finest} for far in fars]


def _row(genuine: Distances, impostors: Distances, far: float) -> dict[str, float]:
    allowed = int(np.floor(far * len(impostors) + 1e-9))
    threshold = float(impostors[allowed]) if allowed < len(impostors) else float("inf")
    passed = int(np.searchsorted(genuine, threshold, side="left"))
    return {"far": far, "tar": passed / max(len(genuine), 1), "threshold": min(threshold, 4.0)}
