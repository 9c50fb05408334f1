"""Two cores against one, many clients against one client, and HTTP against direct calls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from app.bootstrap.services import open_services
from tests.benchmarks import direct, photos
from tests.benchmarks.cores import all_cores, pinned
from tests.benchmarks.measure import Contestant, Effort, Seconds, race, ratio
from tests.benchmarks.report import Row, at_least, at_most, versus
from tests.benchmarks.served import Load, Served, load, verify
from tests.support.server import ServerFailed

CLIENTS, SPELLS = 8, 3
SCALING, TAIL, HTTP = 1.9, 3.0, 1.05
NOTE = (
    f"`/verify` of two 1024x768 photos, {CLIENTS} clients; servers and clients share the cores of their row. Spells of "
    "load take turns. Throughput is answers a second; the one-client row compares wall time on both cores."
)


class TooFewCores(Exception):
    """This machine has not two cores to compare."""


def rows(effort: Effort) -> Iterator[Row]:
    cores = all_cores()[-2:]
    if len(cores) < 2:
        raise TooFewCores(f"expected two cores, got {len(all_cores())}")
    with tempfile.TemporaryDirectory() as folder:
        one, two, workers = spells(Path(folder), cores, effort.seconds)
        yield scaling(f"throughput, {CLIENTS} clients", one, two)
        yield scaling(f"throughput, {CLIENTS} clients, LIKENESS_WORKERS=auto", one, workers)
        yield tail(two)
        with pinned(cores):
            yield one_client(Path(folder), effort)


def spells(folder: Path, cores: Sequence[int], seconds: float) -> tuple[list[Load], ...]:
    """Load on one core, on both, and on both with a worker each, in turn; each has a server of its own."""
    with ExitStack() as stack:
        servers = []
        for count, settings in ((1, {}), (2, {}), (2, {"LIKENESS_WORKERS": "auto"})):
            with pinned(cores[-count:]):
                servers.append((count, stack.enter_context(Served(folder, **settings))))
        loads: tuple[list[Load], ...] = tuple([] for _ in servers)
        for _ in range(SPELLS):
            for (count, served), spell in zip(servers, loads, strict=True):
                with pinned(cores[-count:]):
                    spell.append(load(served, verify(photos.pair()), CLIENTS, seconds))
    return loads


def scaling(case: str, one: Sequence[Load], two: Sequence[Load]) -> Row:
    for each in (*one, *two):
        if others := each.others():
            raise ServerFailed(f"{len(others)} of {len(each.answers)} requests failed: {others[0]}")
    alone, both = (np.array([each.throughput() for each in some]) for some in (one, two))
    means = f"one core's ({np.median(both):.1f} and {np.median(alone):.1f} a second)"
    return Row("two cores", case, ratio(both, alone), means=means, target=at_least(SCALING), note=NOTE)


def tail(loads: Sequence[Load]) -> Row:
    latencies = np.sort(np.concatenate([each.latencies() for each in loads]))
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    case = f"slowest hundredth, {CLIENTS} clients"
    means = f"the median (p99 {1000 * p99:.0f} ms, p50 {1000 * p50:.0f} ms, {len(latencies)} answers)"
    return Row("two cores", case, p99 / p50, means=means, target=at_most(TAIL), note=NOTE)


def one_client(folder: Path, effort: Effort) -> Row:
    services = open_services(direct.settings(folder))
    with (
        Served(folder) as served,
        closing(served.client(verify(photos.pair()))) as client,
        direct.verification(services, photos.pair()) as call,
    ):
        laps = race({"ours": Contestant(client.must, served.cpu), "called directly": Contestant(call)}, effort.pace)
    wall = ratio(laps["ours"].wall, laps["called directly"].wall)
    more = {"result": wall, "means": "a direct call's wall time", "target": at_most(HTTP), "note": NOTE}
    return versus("two cores", "one client", laps, "called directly", **more)


def percentile(ordered: Seconds | Sequence[float], share: float) -> float:
    """The smallest of them that so many per cent do not exceed."""
    return float(ordered[max(0, int(np.ceil(len(ordered) * share / 100)) - 1)])
