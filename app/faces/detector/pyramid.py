"""
The image pyramid and crops of a photo, from compiled sums of its rows or from one integral image.

facenet-pytorch resizes by adaptive area pooling: output pixel i of n averages the input pixels
floor(i * size / n) up to ceil((i + 1) * size / n). kernels.c adds the rows of a bin and then its columns. Without it,
NumPy takes four look-ups in an integral image for a bin. Both give the same bits, which equal facenet-pytorch's up to
float rounding (cv2.INTER_AREA does not: it moves boxes by up to 23 px).

A pixel has four channels, the fourth without meaning: NumPy gathers 16 bytes three times as fast as 12.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats, Pixels
from app.faces.detector.kernels import Kernels, load_kernels

Sums = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
CELL = 12  # side of P-Net's receptive field, in pixels of a level
CHANNELS = 4  # of levels and crops: red, green, blue, unused
_WINDOWS_PER_BLOCK, _ROWS_PER_BLOCK = 512, 32  # bound the memory of intermediate sums, and keep them in the cache
_NEGLIGIBLE = 1.1  # ratio of two scales below which one level is as good as both
_PIXEL_TYPE = np.complex128  # 16 bytes: the type by which four int32 are gathered at once


class Pooling(Protocol):
    """Area-pooled levels and crops of one (H, W, 3) uint8 photo, as float32 in [0, 255]."""

    height: int
    width: int

    def level(self, height: int, width: int) -> Floats:
        """Return the whole photo at (height, width): (height, width, 4)."""

    def crops(self, windows: Ints, size: int) -> Floats:
        """Return each window (left, top, right, bottom; half-open), black beyond the photo: (N, size, size, 4)."""


@contextmanager
def open_pooling(image: Pixels, buffers: BufferPool) -> Iterator[Pooling]:
    """Lend the pooling of a photo: compiled if there are kernels, else by NumPy with memory of `buffers`."""
    if kernels := load_kernels():
        yield CompiledPooling(image, kernels)
    else:
        with buffers.borrow(image) as buffer:
            yield AreaPooling(image, buffer)


class CompiledPooling:
    def __init__(self, image: Pixels, kernels: Kernels) -> None:
        self.height, self.width = image.shape[:2]
        self._image, self._kernels = np.ascontiguousarray(image), kernels

    def level(self, height: int, width: int) -> Floats:
        whole = np.array([[0, 0, self.width, self.height]], np.int64)
        (level,) = self._kernels.pool(self._image, whole, height, width)
        return np.asarray(level, np.float32)

    def crops(self, windows: Ints, size: int) -> Floats:
        return self._kernels.pool(self._image, windows, size, size)


class AreaPooling:
    """
    Pools by NumPy.

    The sums are int32 and wrap around in large photos; their differences are still right, because no bin
    holds 2**31 / 255 pixels.
    """

    def __init__(self, image: Pixels, buffer: Sums | None = None) -> None:
        """With a `buffer` (see `BufferPool`) the sums are written there, and are valid until it is reused."""
        self.height, self.width = image.shape[:2]
        shape = (self.height + 1, self.width + 1, CHANNELS)
        target = None if buffer is None else buffer[: _sums_size(image)].reshape(shape)
        sums = cv2.integral(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), target, sdepth=cv2.CV_32S)
        self._sums: Sums = np.asarray(sums, np.int32)  # (H + 1, W + 1, 4)

    def level(self, height: int, width: int) -> Floats:
        top, bottom = _bins(self.height, height)
        left, right = _bins(self.width, width)
        level = np.empty((height, width, CHANNELS), np.float32)
        for start in range(0, height, _ROWS_PER_BLOCK):
            block = slice(start, start + _ROWS_PER_BLOCK)
            rows = self._sums.take(bottom[block], axis=0)  # (rows, W + 1, 4)
            rows -= self._sums.take(top[block], axis=0)
            sums = _take_pixels(rows, right)  # (rows, width, 4)
            sums -= _take_pixels(rows, left)
            _divide(sums, (bottom - top)[block, None], right - left, out=level[block])
        return level

    def crops(self, windows: Ints, size: int) -> Floats:
        crops = np.empty((len(windows), size, size, CHANNELS), np.float32)
        for start in range(0, len(windows), _WINDOWS_PER_BLOCK):
            block = slice(start, start + _WINDOWS_PER_BLOCK)
            self._crop(windows[block], out=crops[block])
        return crops

    def _crop(self, windows: Ints, out: Floats) -> None:
        left, right = _bins_between(windows[:, 0], windows[:, 2], out.shape[1])
        top, bottom = _bins_between(windows[:, 1], windows[:, 3], out.shape[1])
        counts = (bottom - top)[:, :, None], (right - left)[:, None, :]
        left, right = left.clip(0, self.width), right.clip(0, self.width)
        top, bottom = top.clip(0, self.height), bottom.clip(0, self.height)
        flat, stride = self._sums.reshape(-1, CHANNELS), self._sums.shape[1]
        above, below = (top * stride)[:, :, None], (bottom * stride)[:, :, None]  # (N, size, 1)
        before, after = left[:, None, :], right[:, None, :]  # (N, 1, size)
        sums = _take_pixels(flat, below + after)  # (N, size, size, 4)
        sums -= _take_pixels(flat, above + after)
        sums -= _take_pixels(flat, below + before)
        sums += _take_pixels(flat, above + before)
        _divide(sums, *counts, out=out)


class BufferPool:
    """
    Memory for the sums of a photo, reused: fresh pages from the system take twice as long as the sums themselves.

    Thread-safe. At most `max_bytes` are kept; a photo that needs more gets no buffer.
    """

    def __init__(self, max_bytes: int = 96 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._free: list[Sums] = []

    @contextmanager
    def borrow(self, image: Pixels) -> Iterator[Sums | None]:
        """Lend a buffer for `AreaPooling` of this photo; after the block it may go to another photo."""
        size = _sums_size(image)
        if 4 * size > self._max_bytes:
            yield None
            return
        with self._lock:
            buffer = self._free.pop() if self._free else np.empty(0, np.int32)
        if buffer.size < size:
            buffer = np.empty(size, np.int32)
        try:
            yield buffer
        finally:
            with self._lock:
                if buffer.nbytes + sum(free.nbytes for free in self._free) <= self._max_bytes:
                    self._free.append(buffer)


def _sums_size(image: Pixels) -> int:
    height, width = image.shape[:2]
    return int((height + 1) * (width + 1) * CHANNELS)


def downscale(image: Pixels, factor: int) -> Pixels:
    """Return the rounded means of squares of `factor` pixels; incomplete ones at the right and bottom are dropped."""
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    complete = image[: height * factor, : width * factor]
    return np.asarray(cv2.resize(complete, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def pyramid_scales(
    height: int, width: int, min_face: float, factor: float, *, include_last_level: bool = False
) -> list[float]:
    """
    Return the scale of each level: the first shrinks `min_face` to P-Net's 12 px, the last leaves the short side at
    least 12 px. With `include_last_level` there is one of exactly 12 px, unless the last is within a tenth of it.
    """
    scale = CELL / min_face
    side = min(height, width) * scale
    scales = []
    while side >= CELL:
        scales.append(scale)
        scale, side = scale * factor, side * factor
    last = CELL / min(height, width)
    if include_last_level and scales and scales[-1] > _NEGLIGIBLE * last:
        scales.append(last)
    return scales


def _take_pixels(sums: Sums, indices: Ints) -> Sums:
    """Return the pixels at `indices` of the last but one axis of (..., 4)."""
    pixels = sums.view(_PIXEL_TYPE)[..., 0].take(indices, axis=-1)
    return pixels.view(np.int32).reshape(*pixels.shape, CHANNELS)


def _divide(sums: Sums, heights: Ints, widths: Ints, out: Floats) -> None:
    """Divide sums over bins by the bins' areas."""
    factors = np.float32(1) / heights.astype(np.float32) * (np.float32(1) / widths.astype(np.float32))
    np.multiply(sums, factors[..., None], out=out, casting="unsafe", dtype=np.float32)


def _bins(size: int, count: int) -> tuple[Ints, Ints]:
    """Return where each of `count` bins over `size` pixels starts and stops."""
    index = np.arange(count)
    return (index * size) // count, -((-(index + 1) * size) // count)


def _bins_between(start: Ints, stop: Ints, count: int) -> tuple[Ints, Ints]:
    """Return the same (N, count) for each of the intervals (N,)."""
    index, length, origin = np.arange(count), (stop - start)[:, None], start[:, None]
    return origin + (index * length) // count, origin - ((-(index + 1) * length) // count)
