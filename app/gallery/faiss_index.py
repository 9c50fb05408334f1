"""
The products of a query with the bytes of many vectors, by FAISS. Only this module and faiss_graph.py import it.

FAISS releases Python's global lock while it works. One query is a scan of the bytes. Several are turned into floats
block by block, and each block is multiplied with all queries at once: reading the bytes is most of the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np

from app.domain.arrays import Floats
from app.gallery.faiss_graph import NeighbourGraph, rows_of
from app.gallery.fixed_point import High
from app.gallery.packed_ids import Rows

_ALIGNMENT = 16  # numbers that FAISS's kernels take at once; with another length they are much slower
_BLOCK = 1024  # rows: their floats stay in the cache
_LARGEST_HEAP = 4096  # beyond so many candidates of one query a heap is slower than a block with a rising cutoff
_FEWEST_TOGETHER = 6  # to turn bytes into floats takes as long as so many scans
_ZERO = 128  # the byte of the number 0


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Rows, and a bound: the product of every other row is at most that."""

    rows: Rows
    bound: float


class ScannedBytes:
    """Vectors (N, D) of signed bytes, which are never added to, but may be overwritten while others search."""

    def __init__(self, vectors: High) -> None:
        rows, self._dimension = vectors.shape
        padded = -(-self._dimension // _ALIGNMENT) * _ALIGNMENT
        self._index = faiss.IndexScalarQuantizer(
            padded, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        )
        data = np.full((rows, padded), _ZERO, np.uint8)
        data[:, : self._dimension] = vectors.view(np.uint8) ^ _ZERO
        self._index.add_sa_codes(data)
        self.graph = NeighbourGraph(self._index)
        self._longest = float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float32).max(initial=0)))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def take(self, rows: Rows) -> High:
        taken = rows_of(self._index)[rows, : self._dimension] ^ _ZERO
        return np.asarray(taken).view(np.int8)

    def overwrite(self, rows: Rows) -> None:
        rows_of(self._index)[rows] = _ZERO
        self.graph.overwrite(rows)

    def nearest(self, queries: Floats, count: int, cutoffs: Floats, *, exact: bool) -> list[Candidates]:
        """
        Return `count` rows or more for each query (M, D): those with the largest products, from a cutoff on.

        Unless they are to be exact, some are missing if there is a graph.
        """
        padded = np.zeros((len(queries), self._index.d), np.float32)
        padded[:, : self._dimension] = queries
        use_graph = self.graph.is_built and not exact
        if (use_graph or len(queries) < _FEWEST_TOGETHER) and count <= min(_LARGEST_HEAP, len(self)):
            return [
                self._scan(padded[row : row + 1], count, float(cutoff), use_graph=use_graph)
                for row, cutoff in enumerate(cutoffs)
            ]
        return self._multiply(padded, count, cutoffs)

    def _scan(self, query: Floats, count: int, cutoff: float, *, use_graph: bool) -> Candidates:
        """
        Search with the query in whole numbers of a byte.

        FAISS 1.15 truncates a query to such numbers where the processor multiplies bytes, if D is a multiple of 64.
        """
        scale = 127 / max(float(np.abs(query).max()), 1e-30)
        whole = np.rint(query * np.float32(scale))
        error = float(np.linalg.norm(query - whole / np.float32(scale))) * self._longest
        faiss.omp_set_num_threads(1)  # of this thread; the others of one query would only wait
        products, rows = self.graph.search(whole, count) if use_graph else self._index.search(whole, count)
        last = float(products[0, -1]) / scale + error
        near = (products[0] >= (cutoff - error) * scale) & (rows[0] >= 0)
        return Candidates(rows[0][near], max(last, cutoff) if rows[0, -1] >= 0 else cutoff)

    def _multiply(self, queries: Floats, count: int, cutoffs: Floats) -> list[Candidates]:
        found = [_RisingCutoff(count, float(cutoff)) for cutoff in cutoffs]
        data, block = rows_of(self._index), np.empty((_BLOCK, self._index.d), np.float32)
        columns, zero = np.ascontiguousarray(queries.T), _ZERO * queries.sum(axis=1)
        lowest = np.array(cutoffs, np.float32) + zero  # (M,)
        for start in range(0, len(self), _BLOCK):
            part = block[: min(_BLOCK, len(self) - start)]
            part[:] = data[start : start + len(part)]
            products = part @ columns  # (rows of the block, M): many times as fast as the transposed product
            for query in np.flatnonzero(products.max(axis=0) >= lowest):
                rows = np.flatnonzero(products[:, query] >= lowest[query])
                cutoff = found[query].add(rows + start, products[rows, query] - zero[query])
                lowest[query] = cutoff + zero[query]
        return [each.candidates() for each in found]


def best_of(products: Floats, count: int, cutoffs: Floats) -> list[Candidates]:
    """Return what `ScannedBytes.nearest` does, of products (M, N) that are known."""
    found = []
    for each, cutoff in zip(products, cutoffs, strict=True):
        rows, rising = np.flatnonzero(each >= cutoff), _RisingCutoff(count, float(cutoff))
        rising.add(rows, each[rows])
        found.append(rising.candidates())
    return found


class _RisingCutoff:
    """Keeps at least the `count` rows with the largest products, and raises the cutoff to the smallest of them."""

    def __init__(self, count: int, cutoff: float) -> None:
        self._count, self._limit, self._cutoff = count, 2 * count, cutoff
        self._rows: list[Rows] = []
        self._products: list[Floats] = []
        self._size = 0

    def add(self, rows: Rows, products: Floats) -> float:
        """Return the cutoff from now on."""
        self._rows.append(rows)
        self._products.append(products)
        self._size += len(rows)
        if self._size > self._limit:
            self._prune()
        return self._cutoff

    def candidates(self) -> Candidates:
        return Candidates(np.concatenate(self._rows) if self._rows else np.zeros(0, np.int64), self._cutoff)

    def _prune(self) -> None:
        rows, products = np.concatenate(self._rows), np.concatenate(self._products)
        self._cutoff = float(np.partition(products, -self._count)[-self._count])
        kept = products >= self._cutoff
        self._rows, self._products, self._size = [rows[kept]], [products[kept]], int(kept.sum())
        self._limit = 2 * max(self._count, self._size)
