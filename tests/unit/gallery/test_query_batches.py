"""Searches that wait become one batch; a search of an idle index waits for nobody."""

import threading
from collections.abc import Callable, Sequence

import pytest

from app.domain.comparisons import Distance, FacePair
from app.domain.errors import ServiceError
from app.gallery.query_batches import LARGEST, QueryBatches
from app.gallery.ranking import Hit, Query
from tests.support.templates import unit

PATIENCE = 30.0


def query(number: int) -> Query:
    return Query(unit(number), number, 1.0)


def hits_of(each: Query) -> list[Hit]:
    return [Hit("face", str(each.subjects), FacePair(Distance(1.0)))]


class GatedRun:
    """Answers each batch when the gate opens, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.gate = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, queries: Sequence[Query]) -> list[list[Hit]]:
        self.batches.append([each.subjects for each in queries])
        self.begun.release()
        assert self.gate.acquire(timeout=PATIENCE)
        return [hits_of(each) for each in queries]


class Callers:
    """Searches on threads of their own."""

    def __init__(self, batches: QueryBatches) -> None:
        self._batches = batches
        self.results: dict[int, list[Hit] | Exception] = {}
        self._threads: list[threading.Thread] = []

    def start(self, number: int) -> None:
        self._threads.append(threading.Thread(target=self._search, args=[number], daemon=True))
        self._threads[-1].start()

    def start_waiting(self, numbers: Sequence[int]) -> None:
        """Start searches that have to wait, in this order."""
        for count, number in enumerate(numbers, start=1):
            self.start(number)
            until(lambda count=count: self._batches.waiting == count)  # type: ignore[misc]

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)

    def _search(self, number: int) -> None:
        try:
            self.results[number] = self._batches.search(query(number))
        except Exception as error:
            self.results[number] = error


def until(holds: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE / 0.001)):
        if holds():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never came true")


@pytest.mark.parametrize("slots", [1, 2])
def test_searches_run_side_by_side_in_free_slots_and_those_that_wait_become_a_batch(slots: int) -> None:
    run = GatedRun()
    batches = QueryBatches(run, slots=slots)
    callers = Callers(batches)
    for number in range(slots):
        callers.start(number)
        assert run.begun.acquire(timeout=PATIENCE)
    callers.start_waiting([10, 11, 12])
    for _ in range(slots + 1):
        run.gate.release()
    callers.join()

    assert run.batches == [*([number] for number in range(slots)), [10, 11, 12]]
    assert callers.results == {number: hits_of(query(number)) for number in (*range(slots), 10, 11, 12)}


def test_a_search_of_an_idle_index_runs_at_once_on_its_own_thread() -> None:
    threads: list[threading.Thread] = []

    def run(queries: Sequence[Query]) -> list[list[Hit]]:
        threads.append(threading.current_thread())
        return [hits_of(each) for each in queries]

    batches = QueryBatches(run, slots=1)

    assert [batches.search(query(number)) for number in (1, 2)] == [hits_of(query(1)), hits_of(query(2))]
    assert threads == [threading.current_thread()] * 2


def test_a_batch_has_a_largest_size_and_the_rest_comes_next() -> None:
    run = GatedRun()
    callers = Callers(QueryBatches(run, slots=1))
    callers.start(0)
    assert run.begun.acquire(timeout=PATIENCE)
    callers.start_waiting(range(1, LARGEST + 3))
    for _ in range(3):
        run.gate.release()
    callers.join()

    assert [len(batch) for batch in run.batches] == [1, LARGEST, 2]
    assert len(callers.results) == LARGEST + 3


def test_a_failing_batch_gives_each_caller_an_error_of_its_own_and_frees_the_slot() -> None:
    run = GatedRun()

    def fail(queries: Sequence[Query]) -> list[list[Hit]]:
        found = run(queries)
        if len(queries) > 1:
            raise MemoryError("no room")
        return found

    batches = QueryBatches(fail, slots=1)
    callers = Callers(batches)
    callers.start(0)
    assert run.begun.acquire(timeout=PATIENCE)
    callers.start_waiting([1, 2])
    for _ in range(3):
        run.gate.release()
    callers.join()

    errors = [callers.results[number] for number in (1, 2)]
    assert [str(error) for error in errors] == ["the search failed: MemoryError: no room"] * 2
    assert all(isinstance(error, ServiceError) for error in errors)
    assert errors[0] is not errors[1]
    assert batches.search(query(3)) == hits_of(query(3))


def test_a_search_that_fails_alone_raises_its_error_and_frees_the_slot() -> None:
    def fail(queries: Sequence[Query]) -> list[list[Hit]]:
        raise ValueError(f"expected another query, got {queries[0].subjects}")

    batches = QueryBatches(fail, slots=1)
    for number in (1, 2):
        with pytest.raises(ValueError, match=f"got {number}"):
            batches.search(query(number))
