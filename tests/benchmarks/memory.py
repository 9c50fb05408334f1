"""Memory at rest, and its growth over many requests with photos of one to forty faces."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache, partial
from pathlib import Path

from tests.benchmarks import photos
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import SHARE, Row, at_most
from tests.benchmarks.served import Question, Served, verify

MOST_MIB = 600
GROWTH = 0.02
FACES = (1, 2, 3, 5, 8, 13, 21, 30, 40)
CLIENTS, BLOCKS = 2, 50
SUBJECT = "/galleries/default/subjects/somebody/faces"
MIB = 2**20


def rows(effort: Effort) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as served:
        asked_once(served, verify(photos.pair()))
        yield at_rest(served.resident())
        yield growth(watched(served, effort.requests, served.resident), effort.requests)


def at_rest(resident: int) -> Row:
    case, note = "at rest, default model", "resident, after one `/verify`."
    return Row("memory", case, resident / MIB, "MiB", target=at_most(MOST_MIB), note=note)


def growth(samples: Sequence[int], requests: int) -> Row:
    """Return the growth of memory between requests, from the end of the first tenth to the highest value later."""
    warm, *later = samples[max(0, len(samples) // 10 - 1) :]
    case = f"growth over {requests:,} requests, photos of 1 to 40 faces"
    start, peak, end = (f"{size / MIB:.0f}" for size in (warm, max(later), later[-1]))
    means = f"(from {start} MiB after the first tenth to at most {peak}, in the end {end})"
    note = f"/verify, /detect, /embed and /identify in turn from {CLIENTS} clients, read when none is under way."
    return Row("memory", case, (max(later) - warm) / warm, SHARE, means, at_most(GROWTH), note)


def watched(served: Served, requests: int, read: Callable[[], int]) -> list[int]:
    """Return the value of `read` after each of BLOCKS parts of the requests."""
    enrol = Question.of(SUBJECT, [("image", photos.jpeg(photos.hopper()))])
    asked_once(served, enrol)
    asked = itertools.cycle(questions())
    samples = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(min(BLOCKS, requests)):
            block = list(itertools.islice(asked, max(1, requests // BLOCKS)))
            list(pool.map(partial(asked_once, served), block))
            time.sleep(0.05)  # the last answer is out before its request is forgotten
            samples.append(read())
    return samples


def asked_once(served: Served, question: Question) -> None:
    with closing(served.client(question)) as client:
        client.must()


@cache
def questions() -> list[Question]:
    """Return questions of every kind about every number of faces."""
    crowds = {faces: photos.jpeg(photos.crowd(faces)) for faces in FACES}
    return [
        question
        for faces, crowd in crowds.items()
        for question in (
            verify((crowd, crowds[FACES[0]])),
            Question.of("/detect", [("image", crowd)]),
            Question.of("/embed", [("image", crowd)], faces="all"),
            Question.of("/identify", [("image", crowd)], faces="all"),
        )
    ]
