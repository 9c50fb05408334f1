"""P-, R- and O-Nets whose answers can be computed by hand."""

import numpy as np

from app.domain.arrays import Floats
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet


class OneCell(ProposalNet):
    """A P-Net that finds only the first cell of the first level, and moves it by `offsets`."""

    def __init__(self, *offsets: float) -> None:
        self.offsets, self.levels = offsets, list[tuple[int, int]]()

    def __call__(self, level: Floats) -> tuple[Floats, Floats]:
        height, width = (level.shape[0] - 10) // 2, (level.shape[1] - 10) // 2
        logits = np.full((height, width), -np.inf, np.float32)
        logits[0, 0] = -np.inf if self.levels else np.log(0.9 / 0.1)
        self.levels.append((level.shape[0], level.shape[1]))
        return logits, np.tile(np.array(self.offsets, np.float32)[:, None, None], (1, height, width))


class Sure(RefineNet):
    """An R-Net that takes every crop for a face, and moves it by `offset` times its size."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset, self.crops = offset, 0

    def __call__(self, crops: Floats) -> tuple[Floats, Floats]:
        self.crops += len(crops)
        return np.full(len(crops), 0.9, np.float32), np.full((len(crops), 4), self.offset, np.float32)


class SureOutput(OutputNet):
    """An O-Net that also puts all landmarks in the middle."""

    def __init__(self) -> None:
        self.crops = 0

    def __call__(self, crops: Floats) -> tuple[Floats, Floats, Floats]:
        self.crops += len(crops)
        return *Sure()(crops), np.full((len(crops), 5, 2), 0.5, np.float32)
