"""Sixty-four clients of a service with little room: it goes on at full speed and turns the rest away at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import photos
from tests.benchmarks.concurrency import percentile
from tests.benchmarks.cores import all_cores, pinned
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import SHARE, Row, Target, at_least, at_most
from tests.benchmarks.served import REFUSED, Load, Served, load, verify

CLIENTS, ROOM = 64, 16
FEWER = (2, 4, 8)
"""Clients that find room: two photos each."""
KEPT, REFUSED_MS, GROWTH = 0.9, 50.0, 0.02
NOTE = (
    f"room for {ROOM} photos (LIKENESS_MAX_WAITING); a client that is refused waits as long as Retry-After says. Best "
    f"is the highest throughput of {', '.join(map(str, FEWER))} clients. Growth is of memory at rest, from one spell "
    "of overload to the next."
)


def rows(effort: Effort) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, pinned(all_cores()[-2:]), little_room(Path(folder)) as served:
        question = verify(photos.pair())
        best = max(load(served, question, clients, effort.seconds).throughput() for clients in FEWER)
        first = load(served, question, CLIENTS, effort.seconds)
        resident = served.resident()
        second = load(served, question, CLIENTS, effort.seconds)
        yield from judged(best, [first, second])
        yield growth(resident, served.resident())


def little_room(folder: Path) -> Served:
    """A server that takes ROOM photos: two are worked on, the others wait."""
    return Served(folder, LIKENESS_PHOTO_THREADS="2", LIKENESS_MAX_WAITING=str(ROOM - 2))


def judged(best: float, loads: list[Load]) -> Iterator[Row]:
    kept = max(each.throughput() for each in loads)
    refused = [each for one in loads for each in one.latencies(REFUSED)]
    lost = [each for one in loads for each in one.others()]
    in_time = sum(1000 * each <= REFUSED_MS for each in refused)
    slowest = 1000 * max(refused, default=0)
    p99 = 1000 * percentile(sorted(refused), 99) if refused else None
    of_best = f"of the best ({kept:.1f} of {best:.1f} a second)"
    times = f"(p99 of {len(refused)}; {in_time} in time, the slowest {slowest:.0f} ms)"
    yield row("throughput", kept / best, SHARE, of_best, at_least(KEPT))
    yield row("refused with 503 within", p99, "ms", times, at_most(REFUSED_MS))
    yield row("neither answered nor refused", len(lost), "requests", lost[0] if lost else "", at_most(0))


def growth(before: int, after: int) -> Row:
    return row("growth", (after - before) / before, SHARE, f"({after / 2**20:.0f} MiB)", at_most(GROWTH))


def row(case: str, result: float | None, unit: str, means: str, target: Target) -> Row:
    return Row("overload", f"{CLIENTS} clients: {case}", result, unit, means, target, NOTE)
