"""Under eight clients for a long time, no answer is unplanned, nothing grows or slows down, and no face is lost."""

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.background import DEADLINE, map_in_threads
from tests.support.lengths import length, report
from tests.support.load import stored
from tests.support.server import MIB, Server

from .soaking import GALLERY, Client
from .watching import FIFTHS, Sample, fifth, lowest_resident, median_descriptors, watching

CLIENTS = 8
SECONDS = float(os.environ.get("LIKENESS_PROOF_SOAK_SECONDS", length(25.0, 900.0)))
RESIDENT_GROWTH = length(128, 48) * MIB
"""Growth of what is held for good, from the second fifth to the last; the first fifth is for warming up."""
DESCRIPTOR_GROWTH = 4
P99_RATIO = length(4.0, 2.0)
"""Ratio of the last fifth to the first; in a short run the noise of other processes is not averaged out."""


@dataclass(frozen=True, slots=True)
class Soak:
    clients: list[Client]
    samples: list[Sample]
    began: float
    found: dict[str, list[str]]
    """The faces of every subject in the end."""

    def answers(self) -> Counter[str]:
        return sum((each.answers for each in self.clients), Counter())

    def p99(self, number: int) -> float:
        """Return the 99th percentile, in seconds, of the requests that began in this fifth."""
        width = SECONDS / FIFTHS
        within = (self.began + number * width, self.began + (number + 1) * width)
        taken = sorted(
            seconds for each in self.clients for at, seconds in each.latencies if within[0] <= at < within[1]
        )
        return taken[int(0.99 * len(taken))]


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    with Server(tmp_path_factory.mktemp("soak") / "data", LIKENESS_RATE_LIMIT="0") as server, ExitStack() as stack:
        clients = [Client(number, stack.enter_context(Api.of(server))) for number in range(CLIENTS)]
        clients[0].api.create(GALLERY)
        with watching(server, every=SECONDS / 250) as samples:
            began = time.monotonic()
            map_in_threads(lambda each: each.run(began + SECONDS), clients, CLIENTS, within=SECONDS + DEADLINE)
        done = Soak(clients, samples, began, stored(clients[0].api, GALLERY))
        report_figures(done, server.log)
        yield done


def report_figures(soak: Soak, log: Path) -> None:
    second, last = fifth(soak.samples, 1), fifth(soak.samples, -1)
    held = [lowest_resident(each) // MIB for each in (second, last)]
    report(f"\n{soak.answers().total()} requests in {SECONDS:.0f} s; log {log}\n{dict(sorted(soak.answers().items()))}")
    report(f"p99 by fifth: {[round(soak.p99(number), 3) for number in range(FIFTHS)]} s")
    report(f"held for good: {held[0]} MiB in the second fifth, {held[1]} MiB in the last")
    report(f"descriptors: {median_descriptors(second)}, {median_descriptors(last)}; enrolled: {len(soak.found)}")


pytestmark = pytest.mark.timeout(SECONDS + 300)


def test_no_answer_is_outside_the_plan(soak: Soak) -> None:
    assert list(itertools.chain.from_iterable(each.unplanned for each in soak.clients)) == []


def test_every_kind_of_request_was_made_and_answered(soak: Soak) -> None:
    kinds = {answer.rpartition(" ")[0] for answer in soak.answers()}
    assert len(kinds) == 10
    assert sum(soak.answers().values()) > 5 * SECONDS


def test_what_is_enrolled_is_exactly_what_should_be(soak: Soak) -> None:
    model = {subject: faces for each in soak.clients for subject, faces in each.model.items()}
    assert soak.found == model
    assert model != {}


def test_memory_stays_flat(soak: Soak) -> None:
    samples = soak.samples
    assert lowest_resident(fifth(samples, -1)) - lowest_resident(fifth(samples, 1)) < RESIDENT_GROWTH


def test_descriptors_stay_flat(soak: Soak) -> None:
    samples = soak.samples
    assert median_descriptors(fifth(samples, -1)) - median_descriptors(fifth(samples, 0)) <= DESCRIPTOR_GROWTH


def test_the_slowest_hundredth_stays_as_slow_as_it_was(soak: Soak) -> None:
    assert soak.p99(FIFTHS - 1) < P99_RATIO * soak.p99(0)
