"""
The photo at every scale, from one integral image.

facenet-pytorch resizes by adaptive area pooling: output pixel i of n averages the input pixels
floor(i * size / n) up to ceil((i + 1) * size / n). Sums over such bins are four look-ups in an integral image,
so that a level or a crop costs what its output costs, and the result is theirs to float rounding
(cv2.INTER_AREA is not: it moves boxes by up to 23 px).

A pixel has four numbers, the fourth of no meaning: NumPy gathers 16 bytes three times as fast as 12.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

from app.domain.models import Floats, Pixels

Sums = npt.NDArray[np.int32]
Ints = npt.NDArray[np.intp]
CELL = 12  # side of P-Net's receptive field, in pixels of a level
PIXEL = 4  # numbers a pixel has in levels and crops: red, green, blue, nothing
_WINDOWS_AT_ONCE, _ROWS_AT_ONCE = 512, 32  # bound the memory of the sums between, and keep them in the cache
_NEAR = 1.1  # times: two levels that are as good as one
_ONE_PIXEL = np.complex128  # 16 bytes: the type by which four int32 are gathered at once


class AreaPooling:
    """Area-pooled levels and crops of one (H, W, 3) uint8 photo, as float32 in [0, 255].

    The sums are int32 and wrap around in large photos; differences of them are still right, because no bin
    holds 2**31 / 255 pixels.
    """

    def __init__(self, image: Pixels, room: Sums | None = None) -> None:
        """With `room` for them (see `Rooms`) the sums lie there, and hold until it is used for others."""
        self.height, self.width = image.shape[:2]
        shape = (self.height + 1, self.width + 1, PIXEL)
        into = None if room is None else room[: _needed(image)].reshape(shape)
        sums = cv2.integral(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), into, sdepth=cv2.CV_32S)
        self._sums: Sums = np.asarray(sums, np.int32)  # of that shape

    def level(self, height: int, width: int) -> Floats:
        """The whole photo at (height, width): (height, width, 4)."""
        top, bottom = _bins(self.height, height)
        left, right = _bins(self.width, width)
        level = np.empty((height, width, PIXEL), np.float32)
        for start in range(0, height, _ROWS_AT_ONCE):
            strip = slice(start, start + _ROWS_AT_ONCE)
            rows = self._sums.take(bottom[strip], axis=0)  # (rows, W + 1, 4)
            rows -= self._sums.take(top[strip], axis=0)
            sums = _gathered(rows, right)  # (rows, width, 4)
            sums -= _gathered(rows, left)
            _divide(sums, (bottom - top)[strip, None], right - left, out=level[strip])
        return level

    def crops(self, windows: npt.NDArray[np.int64], size: int) -> Floats:
        """Each window (left, top, right, bottom; half-open), black beyond the photo: (N, size, size, 4)."""
        crops = np.empty((len(windows), size, size, PIXEL), np.float32)
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            some = slice(start, start + _WINDOWS_AT_ONCE)
            self._crop(windows[some], out=crops[some])
        return crops

    def _crop(self, windows: npt.NDArray[np.int64], out: Floats) -> None:
        left, right = _bins_of_many(windows[:, 0], windows[:, 2], out.shape[1])
        top, bottom = _bins_of_many(windows[:, 1], windows[:, 3], out.shape[1])
        counts = (bottom - top)[:, :, None], (right - left)[:, None, :]
        left, right = left.clip(0, self.width), right.clip(0, self.width)
        top, bottom = top.clip(0, self.height), bottom.clip(0, self.height)
        flat, stride = self._sums.reshape(-1, PIXEL), self._sums.shape[1]
        above, below = (top * stride)[:, :, None], (bottom * stride)[:, :, None]  # (N, size, 1)
        before, after = left[:, None, :], right[:, None, :]  # (N, 1, size)
        sums = _gathered(flat, below + after)  # (N, size, size, 4)
        sums -= _gathered(flat, above + after)
        sums -= _gathered(flat, below + before)
        sums += _gathered(flat, above + before)
        _divide(sums, *counts, out=out)


class Rooms:
    """
    Memory for the sums of one photo after the other: fresh pages from the system take twice as long as the sums.
    Thread-safe. At most `most` bytes are kept; a photo that needs more gets none.
    """

    def __init__(self, most: int = 96 * 1024 * 1024) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._free: list[Sums] = []

    @contextmanager
    def lent(self, image: Pixels) -> Iterator[Sums | None]:
        """As `AreaPooling` takes it for that photo; another's after the block."""
        if 4 * _needed(image) > self._most:
            yield None
            return
        with self._lock:
            room = self._free.pop() if self._free else np.empty(0, np.int32)
        if room.size < _needed(image):
            room = np.empty(_needed(image), np.int32)
        try:
            yield room
        finally:
            with self._lock:
                if room.nbytes + sum(free.nbytes for free in self._free) <= self._most:
                    self._free.append(room)


def _needed(image: Pixels) -> int:
    """Numbers of a room for its sums."""
    height, width = image.shape[:2]
    return int((height + 1) * (width + 1) * PIXEL)


def reduced(image: Pixels, by: int) -> Pixels:
    """Means of squares of `by` pixels' side, to the nearest whole; what is left over at the right and below is not."""
    if by == 1:
        return image
    height, width = image.shape[0] // by, image.shape[1] // by
    whole = image[: height * by, : width * by]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def scales(height: int, width: int, min_face: float, factor: float, *, to_the_last: bool = False) -> list[float]:
    """
    Scale of each level: the first shrinks `min_face` to P-Net's 12 px, the last leaves the short side at least 12 px;
    `to_the_last`, one more where those 12 px are a tenth away.
    """
    scale = CELL / min_face
    side = min(height, width) * scale
    found = []
    while side >= CELL:
        found.append(scale)
        scale, side = scale * factor, side * factor
    last = CELL / min(height, width)
    if to_the_last and found and found[-1] > _NEAR * last:
        found.append(last)
    return found


def _gathered(sums: Sums, places: npt.NDArray[np.int64]) -> Sums:
    """The pixels at `places` of the last but one axis of (..., 4)."""
    pixels = sums.view(_ONE_PIXEL)[..., 0].take(places, axis=-1)
    return pixels.view(np.int32).reshape(*pixels.shape, PIXEL)


def _divide(sums: Sums, heights: Ints, widths: Ints, out: Floats) -> None:
    """Sums over bins to means."""
    shares = np.float32(1) / heights.astype(np.float32) * (np.float32(1) / widths.astype(np.float32))
    np.multiply(sums, shares[..., None], out=out, casting="unsafe", dtype=np.float32)


def _bins(size: int, count: int) -> tuple[Ints, Ints]:
    index = np.arange(count)
    return (index * size) // count, -((-(index + 1) * size) // count)


def _bins_of_many(
    start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    index, length, origin = np.arange(count), (stop - start)[:, None], start[:, None]
    return origin + (index * length) // count, origin - ((-(index + 1) * length) // count)
