"""Rates over all pairs of many faces in bounded memory: distances are counted in bins, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats

BINS = 2**16
WIDTH = 4 / BINS  # of a bin in squared L2: 6.1e-5

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairHistograms:
    """How many genuine and how many impostor pairs have their distance in each bin, (BINS,) each."""

    genuine: Counts
    impostors: Counts

    def area_under_curve(self) -> float:
        """Return the probability that a genuine pair is closer than an impostor pair; a common bin counts as a half."""
        closer = np.cumsum(self.genuine) - self.genuine / 2  # (BINS,)
        return float(closer @ self.impostors / (self.genuine.sum() * self.impostors.sum()))

    def true_match_rate(self, fmr: float) -> float:
        """Return the share of genuine pairs in the bins up to which at most a share `fmr` of the impostor pairs lie."""
        false = np.cumsum(self.impostors)
        bins = int(np.searchsorted(false, np.floor(fmr * false[-1] + 1e-9), side="right"))
        return float(self.genuine[:bins].sum() / self.genuine.sum())


def pair_histograms(vectors: Floats, person_of: NDArray[np.int64], block_size: int) -> PairHistograms:
    """
    Count the pairs of unit vectors (N, D) of people (N,), each once.

    Memory is about 25 block_size^2 bytes, however many faces there are.
    """
    genuine, impostors = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    blocks = [slice(start, start + block_size) for start in range(0, len(vectors), block_size)]
    for index, rows in enumerate(blocks):
        for columns in blocks[index:]:
            bins = _bins(vectors[rows], vectors[columns])  # (R, C)
            same = person_of[rows, None] == person_of[None, columns]
            once = np.triu(np.ones_like(same), 1) if rows == columns else np.ones_like(same)
            genuine += np.bincount(bins[same & once], minlength=BINS)
            impostors += np.bincount(bins[~same & once], minlength=BINS)
    return PairHistograms(genuine, impostors)


def _bins(rows: Floats, columns: Floats) -> NDArray[np.int32]:
    """Return the bin of every squared L2 distance, (R, C)."""
    distances = 2 - 2 * rows @ columns.T
    return (distances / WIDTH).clip(0, BINS - 1).astype(np.int32)
