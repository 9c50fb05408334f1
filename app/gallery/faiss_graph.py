"""
A graph of near neighbours (HNSW, Malkov and Yashunin 2016) over the bytes of a segment, by FAISS.

FAISS builds it from a copy of the bytes, a few rows at a time, while searches go on without it. A row that is
overwritten meanwhile is overwritten in the copy too; afterwards the graph reads the bytes of the segment itself.
"""

from __future__ import annotations

import threading
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from app.concurrency.worker_pool import raise_if_cancelled
from app.domain.arrays import Floats
from app.gallery.packed_ids import Rows

_NEIGHBOURS = 32
_BREADTH = 128  # neighbours that a search keeps in view: a recall of 0.99 in tests/benchmarks
_STEP = 256  # rows: an erasure waits for as many
_ZERO = 128


class NeighbourGraph:
    def __init__(self, storage: Any) -> None:
        """`storage` is a FAISS index of signed bytes, all of whose rows are there."""
        self._storage = storage
        self._graph: Any = None
        self._copy: Any = None
        self._lock = threading.Lock()

    @property
    def is_built(self) -> bool:
        return self._graph is not None

    def build(self) -> None:
        """Raises DeadlineExceeded once nobody waits for it."""
        quantizer = faiss.ScalarQuantizer.QT_8bit_direct_signed
        graph = faiss.IndexHNSWSQ(self._storage.d, quantizer, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        self._copy = faiss.downcast_index(graph.storage)
        try:
            for start in range(0, self._storage.ntotal, _STEP):
                raise_if_cancelled()
                with self._lock:
                    faiss.omp_set_num_threads(1)
                    part = rows_of(self._storage)[start : start + _STEP]
                    graph.add(part.astype(np.float32) - np.float32(_ZERO))
        finally:
            with self._lock:
                copy, self._copy = self._copy, None
                rows_of(copy)[:] = _ZERO
        graph.storage, graph.own_fields = self._storage, False
        copy.this.own(True)  # noqa: FBT003 - freed here
        self._graph = graph

    def overwrite(self, rows: Rows) -> None:
        """Overwrite rows, which are in the storage already, in the copy."""
        with self._lock:
            if self._copy is not None:
                rows_of(self._copy)[rows[rows < self._copy.ntotal]] = _ZERO

    def search(self, query: Floats, count: int) -> tuple[Floats, Rows]:
        """Return products and rows (1, count), as an index does; a row of -1 is none."""
        breadth = faiss.SearchParametersHNSW(efSearch=max(_BREADTH, count))
        products, rows = self._graph.search(query, count, params=breadth)
        return products, rows


def rows_of(index: Any) -> npt.NDArray[np.uint8]:
    """Return the memory of an index of bytes, (rows, D), writable."""
    rows, width = int(index.ntotal), int(index.d)
    if not rows:
        return np.zeros((0, width), np.uint8)
    return np.asarray(faiss.rev_swig_ptr(index.codes.data(), rows * width)).reshape(rows, width)
