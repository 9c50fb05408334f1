"""
Vectors as fixed-point numbers of 24 bits in two parts: searches scan the upper 8, the lower 16 make the result exact.

Half precision is the usual choice, but costs 2 bytes a number to scan and leaves an error of 0.0003 in a product. This
costs 1 byte to scan, 3 in all, and leaves 2e-7 with the lower part; docs/architecture.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats

High: TypeAlias = npt.NDArray[np.int8]
Low: TypeAlias = npt.NDArray[np.int16]
Exact: TypeAlias = npt.NDArray[np.float64]

_BLOCK = 8192  # rows that are float64 at a time
_LARGEST = 127 * 2**16 + 2**15 - 1


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """Vectors (N, D): a number is (high * 2^16 + low) / 2^exponent."""

    high: High
    low: Low
    exponent: int

    def __len__(self) -> int:
        return len(self.high)

    def with_exponent(self, exponent: int) -> FixedPoint:
        """Return the vectors with a smaller exponent, which has room for larger numbers."""
        if exponent == self.exponent:
            return self
        return _split((_whole(self.high, self.low) / 2.0 ** (self.exponent - exponent)), exponent)

    def error(self) -> float:
        """Return the largest length of what is left of a vector without its lower part."""
        squares = np.einsum("nd,nd->n", self.low, self.low, dtype=np.float64)
        return float(np.sqrt(squares.max(initial=0.0))) * 2.0**-self.exponent


def encode(vectors: Floats) -> FixedPoint:
    """Encode with the exponent for the dimension, unless a number is too large for it."""
    dimension, largest = vectors.shape[1], float(np.abs(vectors).max(initial=2.0**-9))
    usual = 22 + max(0, int(np.log2(np.sqrt(dimension) / 2.8)))  # has room for 5 standard deviations
    exponent = min(usual, int(np.floor(np.log2(_LARGEST / largest))))
    high, low = np.empty(vectors.shape, np.int8), np.empty(vectors.shape, np.int16)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        part = _split(vectors[block].astype(np.float64) * 2.0**exponent, exponent)
        high[block], low[block] = part.high, part.low
    return FixedPoint(high, low, exponent)


def rounded(vectors: Floats) -> Floats:
    """Return the vectors as they are when decoded, so that equal ones are equal wherever they are kept."""
    encoded = encode(vectors)
    return decode(encoded.high, encoded.low, encoded.exponent).astype(np.float32)


def decode(high: High, low: Low, exponent: int) -> Exact:
    return _whole(high, low) * 2.0**-exponent


def _whole(high: High, low: Low) -> Exact:
    return np.asarray(high.astype(np.float64) * 2**16 + low, np.float64)


def _split(numbers: Exact, exponent: int) -> FixedPoint:
    whole = np.rint(numbers).astype(np.int32)
    high = (whole + 2**15) >> 16
    return FixedPoint(high.astype(np.int8), (whole - (high << 16)).astype(np.int16), exponent)
