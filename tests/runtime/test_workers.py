import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import Overloaded
from tests.support.gate import PATIENCE, Gate, free_again

pytestmark = pytest.mark.anyio
Make = Callable[..., WorkerPool]

asked_by: ContextVar[str] = ContextVar("asked_by")


async def test_work_is_done_on_a_thread_of_its_name_and_its_answer_returned(workers: Make, gate: Gate) -> None:
    gate.open()

    assert (await workers().run(gate)).startswith("test")


async def test_work_is_done_in_the_context_of_its_caller(workers: Make) -> None:
    two = workers(threads=2, max_waiting=2)

    async def ask(name: str) -> str:
        asked_by.set(name)
        return await two.run(asked_by.get)

    assert await asyncio.gather(ask("ada"), ask("grace")) == ["ada", "grace"]


async def test_an_error_of_the_work_passes_through_as_it_is(workers: Make) -> None:
    error = KeyError("the work's own")

    def fail() -> None:
        raise error

    with pytest.raises(KeyError) as raised:
        await workers().run(fail)

    assert raised.value is error


async def test_a_timeout_of_the_works_own_is_no_missed_deadline(workers: Make) -> None:
    def fail() -> None:
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        await workers().run(fail)


async def test_as_many_jobs_run_at_once_as_there_are_threads(workers: Make) -> None:
    together = threading.Barrier(3, timeout=PATIENCE)
    three = workers(threads=3)

    places = await asyncio.gather(*(three.run(together.wait) for _ in range(3)))

    assert sorted(places) == [0, 1, 2]


async def test_a_full_line_refuses_the_next_at_once(workers: Make, gate: Gate) -> None:
    full = workers(threads=1, max_waiting=1)
    running, waiting = asyncio.create_task(full.run(gate)), asyncio.create_task(full.run(gate))
    await gate.begun()

    with pytest.raises(Overloaded, match="2 jobs are already running or waiting"):
        await full.run(gate)

    gate.open()
    assert await running == await waiting


async def test_a_job_that_ends_makes_room_for_one(workers: Make, gate: Gate) -> None:
    one = workers(threads=1, max_waiting=0)
    await one.run(lambda: None)
    await free_again(one)

    running = asyncio.create_task(one.run(gate))
    await gate.begun()
    with pytest.raises(Overloaded):
        await one.run(lambda: None)

    gate.open()
    await running


async def test_a_job_that_fails_makes_room(workers: Make) -> None:
    one = workers(threads=1, max_waiting=0)

    with pytest.raises(ZeroDivisionError):
        await one.run(lambda: 1 // 0)

    await free_again(one)


async def test_a_caller_that_leaves_frees_the_place_of_a_job_that_waits(workers: Make, gate: Gate) -> None:
    one, begun = workers(threads=1, max_waiting=1), list[str]()
    running = asyncio.create_task(one.run(gate))
    await gate.begun()
    leaving = asyncio.create_task(one.run(lambda: begun.append("begun")))
    await asyncio.sleep(0)

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await asyncio.sleep(0)

    staying = asyncio.create_task(one.run(lambda: "an answer"))
    gate.open()
    await running
    assert await staying == "an answer"
    assert begun == []


async def test_a_job_is_told_how_long_it_stood_in_line(workers: Make, gate: Gate) -> None:
    one, waits = workers(threads=1, max_waiting=1), list[float]()
    running = asyncio.create_task(one.run(gate, waited=waits.append))
    await gate.begun()
    waiting = asyncio.create_task(one.run(gate, waited=waits.append))
    await asyncio.sleep(0.06)
    gate.open()
    await asyncio.gather(running, waiting)

    at_once, in_line = waits
    assert 0 <= at_once < in_line
    assert 0.05 <= in_line < PATIENCE


async def test_closing_waits_for_what_runs_and_refuses_what_waits(workers: Make, gate: Gate) -> None:
    one = workers(threads=1, max_waiting=1)
    running, waiting = asyncio.create_task(one.run(gate)), asyncio.create_task(one.run(gate))
    await gate.begun()

    threading.Timer(0.05, gate.open).start()
    one.close()

    assert (await running).startswith("test")
    with pytest.raises(Overloaded, match="shutting down"):
        await waiting


async def test_closed_workers_refuse_work(workers: Make) -> None:
    one = workers()
    one.close()

    with pytest.raises(Overloaded, match="shutting down"):
        await one.run(lambda: None)


async def test_workers_may_be_closed_twice(workers: Make) -> None:
    one = workers()

    one.close()
    one.close()


async def test_the_depth_is_what_runs_and_waits_and_the_room_what_may(workers: Make, gate: Gate) -> None:
    one = workers(threads=1, max_waiting=2)
    empty = one.depth, one.room
    jobs = [asyncio.create_task(one.run(gate)) for _ in range(3)]
    await gate.begun()
    full = one.depth
    with pytest.raises(Overloaded):
        await one.run(gate)
    gate.open()
    await asyncio.gather(*jobs)
    await free_again(one)
    await asyncio.sleep(0.01)

    assert (empty, full, one.depth) == ((0, 3), 3, 0)


async def test_places_are_taken_together_or_not_at_all(workers: Make, gate: Gate) -> None:
    three = workers(threads=1, max_waiting=2)
    running = asyncio.create_task(three.run(gate))
    await gate.begun()

    with pytest.raises(Overloaded, match="1 jobs are already"), three.places(3):
        pass
    with three.places(2) as places:
        with pytest.raises(Overloaded):
            await three.run(gate)
        others = [asyncio.create_task(three.run(gate, places=places)) for _ in range(2)]
        await asyncio.sleep(0)
        assert three.depth == 3
        gate.open()
        await asyncio.gather(running, *others)


async def test_places_that_were_not_used_are_free_again_and_no_others(workers: Make, gate: Gate) -> None:
    three = workers(threads=1, max_waiting=2)
    with three.places(3) as places:
        running = asyncio.create_task(three.run(gate, places=places))
        await gate.begun()
    inside = three.depth
    others = [asyncio.create_task(three.run(gate, places=places)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await three.run(gate, places=places)

    assert inside == 1
    gate.open()
    await asyncio.gather(running, *others)
    await free_again(three)
    assert three.depth == 0
