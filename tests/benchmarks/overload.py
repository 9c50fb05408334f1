"""Sixty-four clients of a service with little room: it goes on at full speed and turns the rest away at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import photos
from tests.benchmarks.concurrency import percentile
from tests.benchmarks.cores import all_cores, pinned
from tests.benchmarks.effort import Effort
from tests.benchmarks.report import SHARE, Row, at_least, at_most
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
    case = f"{CLIENTS} clients"
    yield Row(
        stage="overload",
        case=f"{case}: throughput",
        result=kept / best,
        unit=SHARE,
        means=f"of the best ({kept:.1f} of {best:.1f} a second)",
        target=at_least(KEPT),
        note=NOTE,
    )
    yield Row(
        stage="overload",
        case=f"{case}: refused with 503 within",
        result=1000 * percentile(sorted(refused), 99) if refused else None,
        unit="ms",
        means=f"(p99 of {len(refused)}; {in_time} in time, the slowest {1000 * max(refused, default=0):.0f} ms)",
        target=at_most(REFUSED_MS),
        note=NOTE,
    )
    yield Row(
        stage="overload",
        case=f"{case}: neither answered nor refused",
        result=len(lost),
        unit="requests",
        means=lost[0] if lost else "",
        target=at_most(0),
        note=NOTE,
    )


def growth(before: int, after: int) -> Row:
    return Row(
        stage="overload",
        case=f"{CLIENTS} clients: growth",
        result=(after - before) / before,
        unit=SHARE,
        means=f"({after / 2**20:.0f} MiB)",
        target=at_most(GROWTH),
        note=NOTE,
    )
