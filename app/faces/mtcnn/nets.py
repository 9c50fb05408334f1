"""P-Net, R-Net and O-Net as functions of pixels: float32 RGB in [0, 255], NHWC; the graphs normalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.nouns import Floats
from app.runtime.session import Session

BATCH = 512  # crops a run: bounds memory in a photo of a crowd


class ProposalNet:
    """P-Net over one pyramid level: face probability and box offsets of every 12 px cell, 2 px apart."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, level: Floats) -> tuple[Floats, Floats]:
        """(h, w, 3) -> probabilities (h', w'), offsets (4, h', w')."""
        offsets, probabilities = self._session.run(level[None])
        return probabilities[0, 1], offsets[0]


class RefineNet:
    """R-Net: is this 24 px crop a face, and where exactly."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, crops: Floats) -> tuple[Floats, Floats]:
        """(N, 24, 24, 3) -> probabilities (N,), offsets (N, 4)."""
        offsets, probabilities = _in_batches(self._session, crops)
        return probabilities[:, 1], offsets


class OutputNet:
    """O-Net: as R-Net on 48 px, with five landmarks as shares of the box."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, crops: Floats) -> tuple[Floats, Floats, Floats]:
        """(N, 48, 48, 3) -> probabilities (N,), offsets (N, 4), landmarks (N, 5, 2)."""
        offsets, landmarks, probabilities = _in_batches(self._session, crops)
        return probabilities[:, 1], offsets, landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)


def _in_batches(session: Session, crops: Floats) -> list[npt.NDArray[Any]]:
    batches = [session.run(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
