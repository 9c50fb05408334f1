"""Jobs run on a bounded number of threads with a bounded queue and a deadline."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from app.concurrency.worker_pool import WorkerPool, raise_if_cancelled
from app.domain.errors import DeadlineExceeded, Overloaded
from tests.support.gate import PATIENCE, Gate, free_again

pytestmark = pytest.mark.anyio
Make = Callable[..., WorkerPool]

caller: ContextVar[str] = ContextVar("caller")


def raise_(error: Exception) -> None:
    raise error


async def started(pool: WorkerPool, gate: Gate, jobs: int = 1) -> list[asyncio.Task[str]]:
    """Submit jobs that end when the gate opens, and wait until the first of them runs."""
    tasks = [asyncio.create_task(pool.run(gate)) for _ in range(jobs)]
    await gate.begun()
    return tasks


async def test_job_runs_on_a_thread_of_the_pool(make_pool: Make, gate: Gate) -> None:
    gate.open()
    assert (await make_pool().run(gate)).startswith("test")


async def test_job_runs_in_the_context_of_its_caller(make_pool: Make) -> None:
    pool = make_pool(threads=2, max_waiting=2)

    async def name_in_job(name: str) -> str:
        caller.set(name)
        return await pool.run(caller.get)

    assert [*await asyncio.gather(name_in_job("ada"), name_in_job("grace"))] == ["ada", "grace"]


async def test_error_of_a_job_is_raised_unchanged_and_frees_its_place(make_pool: Make) -> None:
    pool, error = make_pool(threads=1, max_waiting=0), KeyError("own")
    with pytest.raises(KeyError) as raised:
        await pool.run(lambda: raise_(error))
    assert raised.value is error
    await free_again(pool)


async def test_timeout_error_of_a_job_is_not_a_missed_deadline(make_pool: Make) -> None:
    with pytest.raises(TimeoutError, match="own"):
        await make_pool().run(lambda: raise_(TimeoutError("own")))


async def test_as_many_jobs_run_at_once_as_there_are_threads(make_pool: Make) -> None:
    barrier, pool = threading.Barrier(3, timeout=PATIENCE), make_pool(threads=3)
    assert sorted(await asyncio.gather(*(pool.run(barrier.wait) for _ in range(3)))) == [0, 1, 2]


async def test_full_queue_refuses_the_next_job_at_once(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=1)
    jobs = await started(pool, gate, 2)
    with pytest.raises(Overloaded, match="2 jobs are already running or waiting"):
        await pool.run(gate)
    gate.open()
    assert len(set(await asyncio.gather(*jobs))) == 1


async def test_finished_job_makes_room_for_exactly_one(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=0)
    await pool.run(lambda: None)
    await free_again(pool)
    await started(pool, gate)
    with pytest.raises(Overloaded):
        await pool.run(lambda: None)


async def test_waiting_job_of_a_cancelled_caller_is_dropped(make_pool: Make, gate: Gate) -> None:
    pool, ran = make_pool(threads=1, max_waiting=1), list[str]()
    (running,) = await started(pool, gate)
    leaving = asyncio.create_task(pool.run(lambda: ran.append("ran")))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await asyncio.sleep(0)
    staying = asyncio.create_task(pool.run(lambda: "result"))
    gate.open()
    await running
    assert await staying == "result"
    assert ran == []


async def test_on_start_receives_the_seconds_in_the_queue(make_pool: Make, gate: Gate) -> None:
    pool, waits = make_pool(threads=1, max_waiting=1), list[float]()
    jobs = [asyncio.create_task(pool.run(gate, on_start=waits.append)) for _ in range(2)]
    await gate.begun()
    await asyncio.sleep(0.06)
    gate.open()
    await asyncio.gather(*jobs)
    first, second = waits
    assert 0 <= first < second
    assert 0.05 <= second < PATIENCE


async def test_close_waits_for_running_jobs_and_refuses_waiting_ones(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=1)
    running, waiting = await started(pool, gate, 2)
    threading.Timer(0.05, gate.open).start()
    pool.close()
    assert (await running).startswith("test")
    with pytest.raises(Overloaded, match="shutting down"):
        await waiting


async def test_closed_pool_refuses_jobs_and_may_be_closed_again(make_pool: Make) -> None:
    pool = make_pool()
    pool.close()
    pool.close()
    with pytest.raises(Overloaded, match="shutting down"):
        await pool.run(lambda: None)


async def test_depth_counts_running_and_waiting_jobs_up_to_the_capacity(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=2)
    empty = pool.depth, pool.capacity
    jobs = await started(pool, gate, 3)
    full = pool.depth
    with pytest.raises(Overloaded):
        await pool.run(gate)
    gate.open()
    await asyncio.gather(*jobs)
    await free_again(pool)
    await asyncio.sleep(0.01)
    assert (empty, full, pool.depth) == ((0, 3), 3, 0)


async def test_reservation_is_granted_for_all_jobs_or_none(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=2)
    (running,) = await started(pool, gate)
    with pytest.raises(Overloaded, match="1 jobs are already"), pool.reserve(3):
        pass
    with pool.reserve(2) as reservation:
        with pytest.raises(Overloaded):
            await pool.run(gate)
        others = [asyncio.create_task(pool.run(gate, reservation=reservation)) for _ in range(2)]
        await asyncio.sleep(0)
        assert pool.depth == 3
        gate.open()
        await asyncio.gather(running, *others)


async def test_unused_part_of_a_reservation_is_released(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=2)
    with pool.reserve(3) as reservation:
        running = asyncio.create_task(pool.run(gate, reservation=reservation))
        await gate.begun()
    occupied = pool.depth
    others = [asyncio.create_task(pool.run(gate, reservation=reservation)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.run(gate, reservation=reservation)
    assert occupied == 1
    gate.open()
    await asyncio.gather(running, *others)
    await free_again(pool)
    assert pool.depth == 0


async def test_late_job_raises_deadline_exceeded_and_keeps_its_place_until_it_ends(make_pool: Make, gate: Gate) -> None:
    pool = make_pool(threads=1, max_waiting=0, deadline=0.05)
    with pytest.raises(DeadlineExceeded, match=r"no answer within 0.05 s"):
        await pool.run(gate)
    with pytest.raises(Overloaded):
        await pool.run(gate)
    gate.open()
    await free_again(pool)


async def test_job_whose_deadline_passes_in_the_queue_never_runs(make_pool: Make, gate: Gate) -> None:
    pool, ran = make_pool(threads=1, max_waiting=1, deadline=0.05), list[str]()
    (running,) = await started(pool, gate)
    for late in (pool.run(lambda: ran.append("ran")), running):
        with pytest.raises(DeadlineExceeded):
            await late
    gate.open()
    await free_again(pool)
    assert ran == []


async def test_result_that_arrives_together_with_the_deadline_is_late(make_pool: Make) -> None:
    pool = make_pool(deadline=0.05)
    late = asyncio.create_task(pool.run(lambda: time.sleep(0.02)))
    await asyncio.sleep(0)
    time.sleep(0.15)  # noqa: ASYNC251 -- blocks the event loop, so that it finds both the result and the deadline
    with pytest.raises(DeadlineExceeded):
        await late


@pytest.mark.parametrize("leaves", [False, True], ids=["deadline", "cancelled"])
async def test_running_job_that_nobody_waits_for_ends_at_its_next_check(make_pool: Make, leaves: bool) -> None:  # noqa: FBT001
    pool, over = make_pool(threads=1, max_waiting=0, deadline=60 if leaves else 0.05), threading.Event()

    def work() -> None:
        try:
            while True:
                time.sleep(0.005)
                raise_if_cancelled()
        finally:
            over.set()

    running = asyncio.create_task(pool.run(work))
    await asyncio.sleep(0.05)
    if leaves:
        running.cancel()
    with pytest.raises(asyncio.CancelledError if leaves else DeadlineExceeded):
        await running
    assert await asyncio.to_thread(over.wait, 5)
    await free_again(pool)
    assert await pool.run(lambda: "free") == "free"


async def test_raise_if_cancelled_passes_in_an_awaited_job_and_outside_of_a_pool(make_pool: Make) -> None:
    await make_pool(deadline=60).run(raise_if_cancelled)
    raise_if_cancelled()
