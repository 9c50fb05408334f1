"""The types of arrays, and arrays that cannot be written to."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""(height, width, 3) 8-bit RGB, upright."""
Floats: TypeAlias = npt.NDArray[np.float32]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of `array` that cannot be written to."""
    view = array.view()
    view.setflags(write=False)
    return view
