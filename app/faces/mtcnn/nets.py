"""P-Net, R-Net and O-Net as functions of pixels: float32 RGBX in [0, 255], NHWC; the graphs normalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.models import Floats
from app.inference.onnx_session import Session

REFINED_AT_ONCE, OUTPUT_AT_ONCE = 16, 4  # crops a run: what lies between the layers then stays in the cache
STRIP = 65_536  # pixels of a level a run, for the same reason
_HALO = 10  # rows that two strips share: a 12 px cell every 2 px


class ProposalNet:
    """P-Net over one pyramid level: logit of a face and box offsets of every 12 px cell, 2 px apart."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, level: Floats) -> tuple[Floats, Floats]:
        """(h, w, 4) -> logits (h', w'), offsets (4, h', w'): the same in strips as at once."""
        height, width = level.shape[:2]
        rows = max(2 * _HALO, STRIP // width // 2 * 2)
        tops = range(0, max(1, height - _HALO), rows)
        strips = [self._session.run(level[None, top : top + rows + _HALO]) for top in tops]
        offsets, logits = (np.concatenate(parts, axis=2)[0] for parts in zip(*strips, strict=True))
        return logits[0], offsets


class RefineNet:
    """R-Net: is this 24 px crop a face, and where exactly."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, crops: Floats) -> tuple[Floats, Floats]:
        """(N, 24, 24, 4) -> probabilities (N,), offsets (N, 4)."""
        offsets, probabilities = _in_batches(self._session, crops, REFINED_AT_ONCE)
        return probabilities[:, 1], offsets


class OutputNet:
    """O-Net: as R-Net on 48 px, with five landmarks as shares of the box."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, crops: Floats) -> tuple[Floats, Floats, Floats]:
        """(N, 48, 48, 4) -> probabilities (N,), offsets (N, 4), landmarks (N, 5, 2)."""
        offsets, landmarks, probabilities = _in_batches(self._session, crops, OUTPUT_AT_ONCE)
        return probabilities[:, 1], offsets, landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)


def _in_batches(session: Session, crops: Floats, size: int) -> list[npt.NDArray[Any]]:
    batches = [session.run(crops[start : start + size]) for start in range(0, len(crops), size)]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
