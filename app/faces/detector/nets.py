"""P-Net, R-Net and O-Net as functions of pixels: float32 RGBX in [0, 255], NHWC; the graphs normalize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats
from app.faces.detector.pyramid import CHANNELS
from app.inference.manifest import ModelFile, read_checked, read_detector
from app.inference.onnx_session import Provider, Session

REFINE_BATCH, OUTPUT_BATCH = 8, 4  # crops of one run: the activations then stay in the cache
STRIP_PIXELS = 32_768  # of a level in one run, for the same reason
_STRIP_OVERLAP = 10  # rows that two strips share: a 12 px cell every 2 px


class ProposalNet:
    """P-Net over one pyramid level: the logit of a face and box offsets for every 12 px cell, 2 px apart."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, level: Floats) -> tuple[Floats, Floats]:
        """(h, w, 4) -> logits (h', w'), offsets (4, h', w'); the strips do not change them."""
        height, width = level.shape[:2]
        rows = max(2 * _STRIP_OVERLAP, STRIP_PIXELS // width // 2 * 2)
        tops = range(0, max(1, height - _STRIP_OVERLAP), rows)
        strips = [self._session.run(level[None, top : top + rows + _STRIP_OVERLAP]) for top in tops]
        offsets, logits = (np.concatenate(parts, axis=2)[0] for parts in zip(*strips, strict=True))
        return logits[0], offsets


class RefineNet:
    """R-Net: whether a 24 px crop is a face, and where exactly."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, crops: Floats) -> tuple[Floats, Floats]:
        """(N, 24, 24, 4) -> probabilities (N,), offsets (N, 4)."""
        offsets, probabilities = _run_in_batches(self._session, crops, REFINE_BATCH)
        return probabilities[:, 1], offsets


class OutputNet:
    """O-Net: the same for a 48 px crop, with five landmarks as shares of the box."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, crops: Floats) -> tuple[Floats, Floats, Floats]:
        """(N, 48, 48, 4) -> probabilities (N,), offsets (N, 4), landmarks (N, 5, 2)."""
        offsets, landmarks, probabilities = _run_in_batches(self._session, crops, OUTPUT_BATCH)
        return probabilities[:, 1], offsets, landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)


def load_nets(folder: Path, *, provider: Provider, threads: int) -> tuple[ProposalNet, RefineNet, OutputNet]:
    """
    Load the three networks of a model folder, ready to run.

    Raises StartError if a file differs from its manifest, or the provider cannot be used.
    """
    manifest = read_detector(folder)

    def session(file: ModelFile) -> Session:
        return Session(read_checked(folder, file), provider=provider, threads=threads)

    rnet, onet = RefineNet(session(manifest.rnet)), OutputNet(session(manifest.onet))
    rnet(np.zeros((1, 24, 24, CHANNELS), np.float32))  # a warm-up photo without a face never reaches these two
    onet(np.zeros((1, 48, 48, CHANNELS), np.float32))
    return ProposalNet(session(manifest.pnet)), rnet, onet


def _run_in_batches(session: Session, crops: Floats, size: int) -> list[npt.NDArray[Any]]:
    batches = [session.run(crops[start : start + size]) for start in range(0, len(crops), size)]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
