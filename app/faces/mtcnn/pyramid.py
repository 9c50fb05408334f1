"""
The photo at every scale, from one integral image.

facenet-pytorch resizes by adaptive area pooling: output pixel i of n averages the input pixels
floor(i * size / n) up to ceil((i + 1) * size / n). Sums over such bins are four look-ups in an integral image,
so that a level or a crop costs what its output costs, and the result is theirs to float rounding
(cv2.INTER_AREA is not: it moves boxes by up to 23 px).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from app.domain.nouns import Floats, Pixels

Ints = npt.NDArray[np.intp]
CELL = 12  # side of P-Net's receptive field, in pixels of a level
_AT_ONCE = 512  # windows: bounds the memory of the sums between


class AreaPooling:
    """Area-pooled levels and crops of one (H, W, 3) uint8 photo, as float32 in [0, 255].

    The sums are int32 and wrap around in large photos; differences of them are still right, because no bin
    holds 2**31 / 255 pixels.
    """

    def __init__(self, image: Pixels) -> None:
        self.height, self.width = image.shape[:2]
        self._sums = cv2.integral(image, sdepth=cv2.CV_32S)  # (H + 1, W + 1, 3)

    def level(self, height: int, width: int) -> Floats:
        """The whole photo at (height, width): (height, width, 3)."""
        top, bottom = _bins(self.height, height)
        left, right = _bins(self.width, width)
        rows = self._sums[bottom] - self._sums[top]  # (height, W + 1, 3)
        sums = rows[:, right] - rows[:, left]  # (height, width, 3)
        counts = np.multiply.outer(bottom - top, right - left)
        means: Floats = sums.astype(np.float32) / counts.astype(np.float32)[..., None]
        return means

    def crops(self, windows: npt.NDArray[np.int64], size: int) -> Floats:
        """Each window (left, top, right, bottom; half-open, inside the photo) at (size, size): (N, size, size, 3)."""
        parts = [self._crops(windows[start : start + _AT_ONCE], size) for start in range(0, len(windows), _AT_ONCE)]
        return np.concatenate([np.empty((0, size, size, 3), np.float32), *parts])

    def _crops(self, windows: npt.NDArray[np.int64], size: int) -> Floats:
        left, right = _bins_of_many(windows[:, 0], windows[:, 2], size)
        top, bottom = _bins_of_many(windows[:, 1], windows[:, 3], size)
        flat, stride = self._sums.reshape(-1, 3), self._sums.shape[1]
        above, below = (top * stride)[:, :, None], (bottom * stride)[:, :, None]  # (N, size, 1)
        before, after = left[:, None, :], right[:, None, :]  # (N, 1, size)
        sums = flat[below + after] - flat[above + after] - flat[below + before] + flat[above + before]
        counts = (bottom - top)[:, :, None] * (right - left)[:, None, :]  # (N, size, size)
        means: Floats = sums.astype(np.float32) / counts.astype(np.float32)[..., None]
        return means


def scales(height: int, width: int, min_face: float, factor: float) -> list[float]:
    """Scale of each level: the first shrinks `min_face` to P-Net's 12 px, the last leaves the short side 12 px."""
    scale = CELL / min_face
    side = min(height, width) * scale
    found = []
    while side >= CELL:
        found.append(scale)
        scale, side = scale * factor, side * factor
    return found


def _bins(size: int, count: int) -> tuple[Ints, Ints]:
    index = np.arange(count)
    return (index * size) // count, -((-(index + 1) * size) // count)


def _bins_of_many(
    start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    index, length, origin = np.arange(count), (stop - start)[:, None], start[:, None]
    return origin + (index * length) // count, origin - ((-(index + 1) * length) // count)
