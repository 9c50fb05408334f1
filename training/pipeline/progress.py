"""Work on many items with two threads and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


R = TypeVar("R")


def with_progress(label: str, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(2) as pool, progress_bar() as progress:
        return list(progress.track(pool.map(work, items), total=len(items), description=label))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    columns: Iterable[TextColumn | BarColumn | MofNCompleteColumn | TimeElapsedColumn | TimeRemainingColumn] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        yield progress
