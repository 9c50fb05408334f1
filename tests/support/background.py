"""
Daemon threads that cannot outlive their test: they are asked to end, and waited for until a deadline.

A ThreadPoolExecutor waits for its threads without end, when its block ends and once more when Python does.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

DEADLINE = 120.0
"""Seconds; far more than any of them needs, since the machine may be busy."""


def submit(call: Callable[..., R], *arguments: Any) -> Future[R]:
    """Run `call` in a thread of its own."""
    future: Future[R] = Future()

    def run() -> None:
        try:
            future.set_result(call(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def map_in_threads(
    function: Callable[[T], R], items: Iterable[T], threads: int, within: float = DEADLINE
) -> Sequence[R]:
    """Return the results in the order of `items`, which that many threads share. Raises TimeoutError."""
    deadline, waiting, lock = time.monotonic() + within, enumerate(items), threading.Lock()
    results: dict[int, R] = {}

    def work() -> None:
        while time.monotonic() < deadline:
            with lock:
                if (taken := next(waiting, None)) is None:
                    return
            results[taken[0]] = function(taken[1])

    for future in [submit(work) for _ in range(threads)]:
        future.result(max(0.0, deadline - time.monotonic()))
    if next(waiting, None) is not None:
        raise TimeoutError(f"expected all results within {within} s, got {len(results)}")
    return [results[number] for number in range(len(results))]


@contextmanager
def background(work: Callable[[threading.Event], None], threads: int = 1, within: float = DEADLINE) -> Iterator[None]:
    """Run `work` in threads while the block runs; the event that it is given tells it to end. Its errors are raised."""
    over = threading.Event()
    running = [submit(work, over) for _ in range(threads)]
    try:
        yield
    finally:
        over.set()
    for future in running:
        future.result(within)
