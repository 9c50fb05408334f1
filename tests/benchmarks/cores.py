"""Choose the cores that work, and the number of threads."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import cv2
import faiss
import torch
from threadpoolctl import threadpool_limits


def all_cores() -> list[int]:
    """Return the cores that this process was started with."""
    return sorted(_CORES)


_CORES = os.sched_getaffinity(0)


@contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """Run this thread, and every thread and process that it starts, on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def one_core() -> Iterator[None]:
    """Use the last core and one thread in every library; the first core is busy with the system's own work."""
    with pinned(all_cores()[-1:]), threadpool_limits(1), single_threaded():
        yield


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit the libraries that threadpoolctl does not know."""
    before = torch.get_num_threads(), cv2.getNumThreads(), faiss.omp_get_max_threads()
    _set_threads(1, 1, 1)
    try:
        yield
    finally:
        _set_threads(*before)


def _set_threads(torch_: int, cv: int, faiss_: int) -> None:
    torch.set_num_threads(torch_)
    cv2.setNumThreads(cv)
    faiss.omp_set_num_threads(faiss_)
