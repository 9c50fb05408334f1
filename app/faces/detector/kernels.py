"""
The door to kernels.c: what NumPy does slowly, and in many small steps that each wait for the interpreter's lock.

The file is compiled when Likeness is installed, if there is a C compiler. Without it the same results come from NumPy,
bit for bit (tests/unit/faces/detector/test_kernels.py). ctypes releases the lock during a call.
"""

from __future__ import annotations

import ctypes
import sysconfig
from ctypes import c_float, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats, Pixels

_FILE = Path(__file__).with_name(f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}")

Ints = npt.NDArray[np.int64]


@cache
def load_kernels() -> Kernels | None:
    """Return the compiled functions, or None if they were not compiled."""
    try:
        return Kernels(ctypes.CDLL(str(_FILE)))
    except OSError:
        return None


class Kernels:
    def __init__(self, library: ctypes.CDLL) -> None:
        self._pool, self._nms = library.likeness_pool, library.likeness_nms
        self._pool.argtypes = [c_void_p, c_int64, c_int64, c_void_p, c_int64, c_int64, c_int64, c_void_p]
        self._pool.restype = c_int
        self._nms.argtypes = [c_void_p, c_void_p, c_int64, c_float, c_float, c_int, c_void_p]
        self._nms.restype = c_int64

    def pool(self, photo: Pixels, windows: Ints, height: int, width: int) -> Floats:
        """Return each window (N, 4) of a contiguous (H, W, 3) photo, black beyond it: (N, height, width, 4)."""
        windows = np.ascontiguousarray(windows, np.int64)
        pooled = np.empty((len(windows), height, width, 4), np.float32)
        failed = self._pool(
            *(photo.ctypes.data, photo.shape[0], photo.shape[1]),
            *(windows.ctypes.data, len(windows), height, width, pooled.ctypes.data),
        )
        if failed:
            raise MemoryError(f"no memory for a row of {photo.shape[1]} pixels")
        return pooled

    def nms(self, boxes: Floats, order: npt.NDArray[np.intp], overlap: float, *, inclusive: bool) -> Ints:
        """Return the indices kept of boxes (N, 4) in `order`; `inclusive` is the mode `min` of nms.py."""
        boxes, order = np.ascontiguousarray(boxes, np.float32), np.ascontiguousarray(order, np.int64)
        kept = np.empty(len(order), np.int64)
        count = self._nms(
            *(boxes.ctypes.data, order.ctypes.data, len(order), overlap),
            *(float(inclusive), int(inclusive), kept.ctypes.data),
        )
        return kept[:count]
