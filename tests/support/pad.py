"""
The logits that the original code gives to four crops, computed with its own classes and the published weights.

The crops need no resizing, so they are the same everywhere: parts of a photo in the public domain, noise and grey.
"""

from collections.abc import Mapping

import numpy as np
import skimage.data

from app.domain.arrays import Pixels

LOGITS: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "2.7_80x80_MiniFASNetV2.pth": {
        "face": (-1.59028, 2.56704, -0.9791),
        "whole": (-1.62247, 0.11786, 1.50436),
        "noise": (-2.79952, 3.81452, -1.01743),
        "grey": (-1.8998, 0.43541, 1.46435),
    },
    "4_0_0_80x80_MiniFASNetV1SE.pth": {
        "face": (-0.22884, 4.28251, -4.05604),
        "whole": (-0.71675, 2.13091, -1.41538),
        "noise": (-1.79247, 4.94975, -3.15943),
        "grey": (-1.17936, 0.85858, 0.32051),
    },
}
"""By file of weights and by crop."""


def crops() -> dict[str, Pixels]:
    """Return the RGB crops (80, 80, 3)."""
    photo = skimage.data.astronaut()
    return {
        "face": photo[20:260:3, 105:345:3],
        "whole": photo[0:480:6, 16:496:6],
        "noise": np.random.default_rng(7).integers(0, 256, (80, 80, 3), dtype=np.uint8),
        "grey": np.full((80, 80, 3), 127, np.uint8),
    }


def score(near: str, far: str) -> float:
    """Return the mean probability of a live face, where each network sees one crop."""
    first, second = (np.exp(logits[crop]) for logits, crop in zip(LOGITS.values(), (near, far), strict=True))
    return float((first[1] / first.sum() + second[1] / second.sum()) / 2)
